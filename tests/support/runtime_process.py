"""A bare runtime in a process of its own."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

from support.engine_process import MARK, wait_until, write_app
from support.raw_http import RawClient, request

END_S = 60.0


class RuntimeProcess:
    """A bare runtime that serves one app.

    Args:
        folder: For the app's file and the log.
        source: The app, without its imports; or the path of its file.
        function: The one function to serve.
        workers: Workers for each function.
        environment: Further variables.
        port: Port, 0 for any.
    """

    def __init__(self, folder, source, *, function=None, workers=1, environment=None, port=0):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = source if isinstance(source, Path) else write_app(self.folder / "app.py", source)
        self.mark = uuid.uuid4().hex
        self.port = port
        self.process = None
        self._log = self.folder / "stderr"
        self._arguments = [str(self.file), "--workers", str(workers)]
        self._arguments += ["--function", function] if function else []
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith(("SKERRY_", "K_"))}
        self._environment |= {MARK: self.mark, "PORT": str(port), **(environment or {})}

    def start(self):
        """Start it and wait until it says where it listens."""
        self.launch()
        return self.await_door()

    def launch(self):
        """Start it."""
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "skerry.runtime", *self._arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment,
            )

    def await_door(self):
        """Wait until it says where it listens."""
        line = self.process.stdout.readline().decode()
        if not line.startswith("skerry runtime: http://"):
            raise AssertionError(f"the runtime ended with {self.process.wait(END_S)}: {line}\n{self.log()}")
        self.port = int(line.rpartition(":")[2])
        return self

    @property
    def pid(self):
        return self.process.pid

    def log(self, function=None):
        """Return the output of the runtime and of all its functions."""
        return self._log.read_text(errors="replace")

    def connect(self, **options):
        return RawClient(self.port, **options)

    def call(self, path, body=b"null", headers=()):
        """Call a function, or any path, with POST."""
        with self.connect() as client:
            return client.call(path if path.startswith("/") else f"/function/{path}", body, headers)

    def get(self, path):
        with self.connect() as client:
            client.send(request(path, b"", method="GET"))
            return client.read_answer()

    def workers(self):
        """Return the processes that serve functions, spare ones included."""
        return [pid for pid in self.processes() if pid != self.pid and _leads_session(pid)]

    def zygote(self):
        """Return the zygote's process, None while there is none."""
        found = [pid for pid in self.processes() if pid != self.pid and _is_zygote(pid)]
        return found[0] if found else None

    def processes(self):
        """Return every live process that has come out of this one, wherever it hangs in the tree."""
        marked = f"{MARK}={self.mark}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _is_marked(folder, marked):
                found.append(int(folder.name))
        return found

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """Wait for its end; return the exit code."""
        return self.process.wait(END_S)

    def close(self):
        """End it, and see that nothing of it is left."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END_S)
        self.process.stdout.close()
        wait_until(lambda: not self.processes(), within_s=END_S, what="the end of all the runtime's processes")


def open_files(pid):
    """Return the number of descriptors that a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def is_alive(pid):
    """Whether a process exists and is no zombie."""
    try:
        return _state(Path(f"/proc/{pid}")) not in ("Z", "X")
    except OSError:
        return False


def children(pid):
    """Return the children of a process, zombies included."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def _is_marked(folder, marked):
    try:
        return marked in (folder / "environ").read_bytes().split(b"\0") and _state(folder) not in ("Z", "X")
    except OSError:
        return False


def _state(folder):
    return (folder / "stat").read_text().rpartition(")")[2].split()[0]


def _leads_session(pid):
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False


def _is_zygote(pid):
    try:  # the first one is a fork of the runtime itself
        return b"skerry.runtime" in Path(f"/proc/{pid}/cmdline").read_bytes() and not _leads_session(pid)
    except OSError:
        return False
