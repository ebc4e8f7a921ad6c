"""Programs in the star's networks, each ended by its own id."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from skerry.errors import PlatformError
from skerry.testbed.links.namespace import FOLDER

END_TIMEOUT_S = 5.0
READY_TIMEOUT_S = 60.0
LAST_LINES = 20


def find_program(name: str) -> str:
    """Return the path of a program, also of those that only root uses.

    Raises:
        PlatformError: it is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise PlatformError(f"there is no program {name!r} on this machine; install the Debian package of that name")
    return found


class Program:
    """A program in a network, with all its output kept.

    Args:
        network: Name of the namespace.
        words: Its command line.
        folder: Where it runs.
        log: The file that it writes to instead of its output; none for one without.
    """

    def __init__(self, network: str, words: Sequence[str], folder: Path, *, log: Path | None = None) -> None:
        self.lines: list[str] = []
        self.name = words[2] if words[0] == sys.executable else words[0]
        self._log = log
        self._came = threading.Condition()
        self._has_closed = False
        self._process = subprocess.Popen(
            [
                find_program("prlimit"),
                "--core=0",
                "nsenter",
                f"--net={FOLDER / network}",
                "--",
                find_program(words[0]),
                *words[1:],
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def python(cls, network: str, module: str, settings: Mapping[str, Any], folder: Path) -> Self:
        """Start a module of this package, whose settings are its one argument."""
        words = [sys.executable, "-m", f"skerry.testbed.experiments.ddos_loop.{module}", json.dumps(settings)]
        return cls(network, words, folder)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_for(self, wanted: Callable[[str], bool], timeout_s: float = READY_TIMEOUT_S) -> str:
        """Return the first line that is wanted, once it is there.

        Raises:
            PlatformError: the program has ended, or does not say it in time.
        """
        with self._came:
            self._came.wait_for(lambda: self._has_closed or self._find(wanted) is not None, timeout_s)
            line = self._find(wanted)
        if line is not None:
            return line
        if not self._has_closed:
            raise PlatformError(f"{self.name} is not ready within {timeout_s:g} s: {self.last_lines()}")
        with suppress(subprocess.TimeoutExpired):  # it has closed its output, as a program does that ends
            self._process.wait(END_TIMEOUT_S)
        code = self._process.poll()
        raise PlatformError(f"{self.name} is not ready; it has ended with exit code {code}: {self.last_lines()}")

    def check(self) -> None:
        """Look whether it still runs.

        Raises:
            PlatformError: it has ended by itself; the message holds its last lines.
        """
        code = self._process.poll()
        if code is None:
            return
        self._reader.join(END_TIMEOUT_S)
        raise PlatformError(
            f"{self.name} has ended in the middle of the trial, with exit code {code}, so nothing was measured: "
            f"{self.last_lines()}"
        )

    def last_lines(self) -> str:
        """Return what it has said last, for people."""
        lines = list(self.lines)
        if self._log is not None and self._log.is_file():
            lines += self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:]) or "it said nothing"

    def objects(self) -> list[Any]:
        """Return the lines so far that are JSON objects."""
        found = []
        for line in list(self.lines):
            if line.startswith("{"):
                with suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def stop(self, *, sign: int = signal.SIGINT) -> None:
        """End it, and take what it still says."""
        if self._process.poll() is None:
            self._signal(sign)
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
        self._reader.join(END_TIMEOUT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _find(self, wanted: Callable[[str], bool]) -> str | None:
        return next((line for line in self.lines if wanted(line)), None)

    def _signal(self, sign: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, sign)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._came:
                self.lines.append(line.rstrip("\n"))
                self._came.notify_all()
        with self._came:
            self._has_closed = True
            self._came.notify_all()
