"""An engine in a process of its own, and the small HTTP client that the engine's tests drive it with."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path

import skerry
from support.held_port import HeldPort

MARK = "SKERRY_TEST_MARK"  # every process that an engine starts inherits it, and can be found by it
START_S = 60.0
FORKED_ONLY = 0x40  # the kernel's PF_FORKNOEXEC: the process was forked and has not executed a program of its own


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body

    def __repr__(self):
        return f"<Answer {self.status} {self.body[:2000]!r}>"

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json()["code"]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def exchange(connection, method, path, body=None, headers=None):
    """Send one request and return its answer; values other than bytes travel as JSON."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("content-type", "application/json")
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def wait_until(condition, *, within_s=20.0, what="the condition"):
    """Poll until ``condition()`` is true, and return what it returned."""
    until = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come true within {within_s:g} s")
        time.sleep(0.02)


def write_app(path, source):
    """Write an app's file with the usual imports; return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("import os, sys, time\nimport skerry\n" + textwrap.dedent(source))
    return path


def private_bytes(pid):
    """Return the memory that a process holds for itself alone: its anonymous pages."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


class Engine:
    """One engine's folder, and the process that owns it at the moment."""

    def __init__(self, home, *, host="127.0.0.1", environment=None, public=False):
        self.home = Path(home)
        self.host = host
        self._held = HeldPort(host)
        self._held_public = HeldPort() if public else None
        self.port = self._held.number
        self.public_port = self._held_public.number if public else None  # where it answers to other machines
        self.mark = uuid.uuid4().hex
        self.process = None
        self._environment = dict(environment or {})
        self._log = self.home.with_name(f"{self.home.name}.stderr")

    def command(self, *arguments):
        return [sys.executable, "-m", "skerry.engine", "--home", str(self.home), *arguments]

    def variables(self):
        removed = ("SKERRY_HOME", "SKERRY_SET", "SKERRY_ENGINE")
        kept = {key: value for key, value in os.environ.items() if key not in removed}
        return {**kept, MARK: self.mark, **self._environment}

    def start(self, target=None, *, before=None, verbose=True):
        """Start the engine and wait until it says that it is ready."""
        command = self.command("--host", self.host, "--port", str(self.port))
        command += ["--verbose"] if verbose else []
        command += ["--listen", f"127.0.0.1:{self.public_port}"] if self.public_port is not None else []
        command += ["--serve", str(target)] if target is not None else []
        if self.process is not None:
            self.process.stdout.close()
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env=self.variables(), preexec_fn=before
            )
        line = self.process.stdout.readline().decode()  # the end of the stream, when it cannot start
        if not line.startswith("skerry engine: http://"):
            code = self.process.wait(START_S)
            raise AssertionError(f"the engine ended with {code}: {line}\n{self.stderr()[-4000:]}")
        assert line.strip().endswith(f":{self.port}")
        return self

    def site(self, name, **options):
        """Return this engine as a site that pins its certificate."""
        given = {"token_file": self.home / "token", "certificate": self.home / "certificate.pem", **options}
        return skerry.Site(name=name, address=f"https://127.0.0.1:{self.public_port}", **given)

    def stderr(self):
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def pid(self):
        return self.process.pid

    def stop(self, *, within_s=60.0):
        """Ask the engine to end, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._ended(within_s)

    def kill(self):
        """End the engine as the kernel's out-of-memory killer would."""
        if self.process.poll() is None:
            self.process.kill()
        return self._ended(30)

    def _ended(self, within_s):
        try:
            return self.process.wait(within_s)
        finally:
            self.process.stdout.close()

    def close(self):
        """End what is left of it, at the end of a test."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        wait_until(lambda: not self.processes(), within_s=30, what="the end of all of the engine's processes")
        assert "Traceback" not in self.stderr(), self.stderr()[-8000:]  # an error that nobody was told

    # Requests

    def connect(self, *, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def tcp(self, method, path, body=None, headers=None, *, timeout=60):
        connection = self.connect(timeout=timeout)
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def call(self, function, value=None, *, headers=None, timeout=60):
        return self.tcp("POST", f"/function/{function}", json.dumps(value).encode(), headers, timeout=timeout)

    def control(self, method, path, body=None, *, headers=None, timeout=120):
        connection = UnixConnection(self.home / "engine.sock", timeout)
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def try_deploy(self, target, *, flags=(), settings=""):
        body = {"target": str(target), "flags": list(flags), "environment": settings}
        return self.control("POST", "/apps", body)

    def deploy(self, target, **options):
        answer = self.try_deploy(target, **options)
        assert answer.status == 200, answer
        return answer.json()

    def submit(self, function, value=None, *, headers=None):
        return self.call(function, value, headers={"prefer": "respond-async", **(headers or {})})

    def job(self, job):
        return self.tcp("GET", f"/jobs/{job}").json()

    def job_result(self, job, *, wait_s=30):
        return self.tcp("GET", f"/jobs/{job}/result?wait_s={wait_s}")

    # What can be seen of it

    def function(self, name):
        return self.control("GET", f"/functions/{name}").json()

    def events(self, function, kind=None):
        events = self.control("GET", f"/events?function={function}").json()
        return [event for event in events if kind in (None, event["kind"])]

    def workers(self, function):
        """Return the processes of a function's workers, dead or alive, in the order of their start."""
        return [event["pid"] for event in self.events(function, "worker_ready")]

    def live_workers(self, function):
        return [pid for pid in self.workers(function) if pid in self.processes()]

    def processes(self):
        """Return every live process that this engine's folder ever gave birth to."""
        marked = f"{MARK}={self.mark}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                if marked in (folder / "environ").read_bytes().split(b"\0") and not _is_zombie(folder):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def zygotes(self):
        return [pid for pid in self.processes() if _is_zygote(pid)]


def _is_zombie(folder):
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")


def _is_zygote(pid):
    """Whether a process is a zygote itself, and no fork of one."""
    try:
        if b"skerry.runtime.zygote" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return False
        flags = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[6])
        return not flags & FORKED_ONLY
    except OSError:
        return False


async def burst(port, function, values, *, within_s=100.0):
    """Send one request per value at once, each over a connection of its own; return the answers in order."""

    async def one(value):
        body = json.dumps(value).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(
                f"POST /function/{function} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
                + body
            )
            whole = await reader.read()
        finally:
            writer.close()
        head, _, answer = whole.partition(b"\r\n\r\n")
        return Answer(int(head.split()[1]), {}, answer)

    async with asyncio.timeout(within_s):
        return await asyncio.gather(*(one(value) for value in values))
