"""A NATS server with JetStream, started by the test."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.held_port import HeldPort

START_S = 20.0


class NatsServer:
    def __init__(self, folder, *options):
        program = shutil.which("nats-server", path="/usr/sbin:/usr/local/bin:/usr/bin")
        if program is None:
            pytest.skip("there is no nats-server: apt-get install nats-server")
        self._command = [program, "-a", "127.0.0.1", "-js", "-sd", str(folder / "nats"), *options]
        self._log = folder / "nats.log"
        self._process = None
        self._held = HeldPort()
        self.port = self._held.number

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def start(self):
        """Start it, on the same port as before when it was killed, and wait until it answers."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen([*self._command, "-p", str(self.port)], stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while "Server is ready" not in self._log.read_text().rpartition("Starting nats-server")[2]:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.02)
        return self

    def freeze(self):
        """Stop it as it is, and return once none of its threads runs any more."""
        self._process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + START_S
        while not all(self._states()):
            assert time.monotonic() < until
            time.sleep(0.005)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def _states(self):
        for stat in Path(f"/proc/{self._process.pid}/task").glob("*/stat"):
            yield stat.read_text().rpartition(")")[2].split()[0] == "T"

    def kill(self):
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)
