"""An app of one function that says which version it is, and callers who ask it all the time."""

import threading

from support.engine_process import write_app

VERSION = """
app = skerry.App("versions")

@app.function(scale=skerry.Scale(initial=0, max=2, grace="60s"), memory={memory!r})
def version() -> str:
    return {version!r}
"""


def write_version(path, version, *, memory=None):
    return write_app(path, VERSION.format(version=version, memory=memory))


class Load:
    """Calls a function over and over from a few threads, and keeps every answer."""

    def __init__(self, engine, function, threads=4):
        self.answers, self.errors = [], []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(engine, function)) for _ in range(threads)]

    def _run(self, engine, function):
        connection = engine.connect()
        try:
            while not self._stopping.is_set():
                connection.request("POST", f"/function/{function}", b"")
                response = connection.getresponse()
                self.answers.append((response.status, response.read()))
        except Exception as error:
            self.errors.append(error)
        finally:
            connection.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()
