"""The file of a run: one JSON line per session and per trial, only ever added to, each on the disk before the next.

A line counts once it is complete; what a crash left of the last one is cut off.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from skerry.errors import ConfigError, DataError

FILE = "trials.jsonl"


class Records:
    """The lines of a run, opened for adding; nobody else can open them for adding meanwhile.

    Args:
        folder: The run's folder.

    Raises:
        ConfigError: another process runs the experiment in this folder.
        DataError: a line is not JSON.
    """

    def __init__(self, folder: Path) -> None:
        self._file: BinaryIO = (folder / FILE).open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.lines = self._recover(folder)
        except BlockingIOError as error:
            self._file.close()
            raise ConfigError(f"{folder}: another process is running this experiment here") from error
        except BaseException:
            self._file.close()
            raise

    def _recover(self, folder: Path) -> list[dict[str, Any]]:
        self._file.seek(0)
        content = self._file.read()
        complete = content[: content.rfind(b"\n") + 1]
        if len(complete) < len(content):
            self._file.truncate(len(complete))
        return _parse(complete, folder)

    def add(self, line: dict[str, Any]) -> None:
        """Add a line; it survives a crash once this returns."""
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a run, which may be running.

    Raises:
        DataError: there is no such file, or a line is not JSON.
    """
    try:
        content = (folder / FILE).read_bytes()
    except OSError as error:
        raise DataError(f"{folder} holds no results of an experiment: {error.strerror}") from error
    return _parse(content[: content.rfind(b"\n") + 1], folder)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that whoever looks sees the old text or the new one, also after a crash."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _parse(content: bytes, folder: Path) -> list[dict[str, Any]]:
    lines = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{folder / FILE}, line {number}: not JSON ({error}); the file was damaged") from error
        if not isinstance(value, dict):
            raise DataError(f"{folder / FILE}, line {number}: not an object; the file was damaged")
        lines.append(value)
    return lines
