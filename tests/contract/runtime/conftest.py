from pathlib import Path

import pytest

from support.engine_process import Engine
from support.raw_http import RawClient, request
from support.runtime_process import RuntimeProcess

APP = Path(__file__).with_name("conformance_app.py")


class BarePlace:
    """The app on a bare runtime."""

    def __init__(self, folder):
        self.folder = folder
        self._runtime = RuntimeProcess(folder / "runtime", APP, environment={"CONFORMANCE_FOLDER": str(folder)})

    def start(self):
        self._runtime.start()

    @property
    def port(self):
        return self._runtime.port

    def log(self, function):
        return self._runtime.log()

    def terminate(self):
        self._runtime.terminate()

    def wait(self):
        return self._runtime.wait()

    def close(self):
        self._runtime.close()


class EnginePlace:
    """The app on an engine."""

    def __init__(self, folder):
        self.folder = folder
        self._engine = Engine(folder / "home", environment={"CONFORMANCE_FOLDER": str(folder)})

    def start(self):
        self._engine.start(APP)

    @property
    def port(self):
        return self._engine.port

    def log(self, function):
        return self._engine.control("GET", f"/functions/{function}/logs?tail=1000").json()["text"]

    def terminate(self):
        self._engine.process.terminate()

    def wait(self):
        return self._engine.process.wait(30)

    def close(self):
        self._engine.close()


class Client:
    """What a caller sees, and what handlers leave in the test's folder."""

    def __init__(self, place):
        self.place = place
        self.folder = place.folder

    def connect(self):
        return RawClient(self.place.port)

    def call(self, function, body=b"null", *headers):
        with self.connect() as client:
            return client.call(f"/function/{function}", body, headers)

    def start_call(self, function, body=b"null", *headers):
        """Send a request; the caller reads the answer from the returned connection."""
        client = self.connect()
        client.send(request(f"/function/{function}", body, headers))
        return client

    def send(self, method, path, body=b"", *headers):
        with self.connect() as client:
            client.send(request(path, body, headers, method=method))
            return client.read_answer(head_only=method == "HEAD")

    def log(self, function):
        return self.place.log(function)

    def notes(self, name):
        file = self.folder / name
        return len(file.read_text().splitlines()) if file.exists() else 0

    def release(self, name):
        (self.folder / name).touch()


PLACES = {"bare": BarePlace, "engine": EnginePlace}


@pytest.fixture(scope="module", params=PLACES)
def platform(request, tmp_path_factory):
    """One platform that runs the app for all tests of a module."""
    place = PLACES[request.param](tmp_path_factory.mktemp(request.param))
    try:
        place.start()
        yield Client(place)
    finally:
        place.close()


@pytest.fixture(params=PLACES)
def own_platform(request, tmp_path):
    """A platform that the test may end."""
    place = PLACES[request.param](tmp_path)
    try:
        place.start()
        yield Client(place)
    finally:
        place.close()
