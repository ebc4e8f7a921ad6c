"""Until when events were given to functions that are labelled ``local``."""

from __future__ import annotations

import math
import time
from pathlib import Path

from skerry.errors import UnavailableError


class LocalMark:
    """The mark in a file, so that it outlives the functions, their label and the engine.

    Args:
        path: The file; made where there is something to write down.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self) -> None:
        """Write down that events are given to such a function from now on."""
        if self.until_s != math.inf:
            self._write(math.inf)

    def end(self) -> None:
        """Write down that no such function is there any more."""
        if self.until_s == math.inf:
            self._write(time.time())

    @property
    def until_s(self) -> float:
        """Unix time, seconds; 0 where there was none, and without an end while there is one."""
        try:
            return float(self._path.read_text())
        except FileNotFoundError:
            return 0.0
        except ValueError:  # a power cut came in between
            return math.inf

    def _write(self, until_s: float) -> None:
        try:
            self._path.write_text(f"{until_s}\n")
        except OSError as error:
            raise UnavailableError(f"{self._path} cannot be written: {error}") from error
