"""What functions print: one file per function, appended to by all of its workers, followed by readers.

Rotation copies the file to ``.1`` and empties it in place instead of renaming it. Workers that are running hold the
file open for appending; after a rename they would go on writing into the old file, where no reader looks and where
nothing bounds it. In exchange, a line printed in the moment between the last copy and the emptying is lost.

One long run can print far more than the limit. Only the end of that is copied, to the offset where it was: the rest of
``.1`` is a hole that takes no room on the disk, and readers' offsets keep their meaning.
"""

from __future__ import annotations

import codecs
import os
import shutil
from pathlib import Path

from skerry.errors import FunctionNotFoundError
from skerry.spec.function import NAME

LIMIT_BYTES = 10 * 2**20
READ_LIMIT_BYTES = 2**20
TAIL_LIMIT_BYTES = 4 * 2**20
_BLOCK_BYTES = 2**16


class Logs:
    """The log files of an engine's functions.

    Args:
        folder: Where the files are; made on the first write.
        limit_bytes: Size above which a file is rotated when a worker starts.
    """

    __slots__ = ("_folder", "_limit_bytes")

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes

    def path(self, function: str) -> Path:
        """Return the file of a function.

        Raises:
            FunctionNotFoundError: the name is none that a function may have, and so names no file either.
        """
        if not NAME.fullmatch(function):
            raise FunctionNotFoundError(f"there is no function {function!r}")
        return self._folder / f"{function}.log"

    def holds_local(self, function: str) -> bool:
        """Whether a function's log has lines from when it was labelled ``local``."""
        return _mark(self.path(function)).exists()

    def open_for_append(self, function: str, *, local: bool = False) -> int:
        """Return a descriptor for a new worker's output, after rotating a file above the limit.

        The descriptor is close-on-exec and the caller's to close; ``os.dup2`` it onto 1 and 2 of the worker.

        Args:
            function: The function's name.
            local: Whether it is labelled ``local``, which is written down next to its log.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path(function)
        if local:
            _mark(path).touch(mode=0o600)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size > self._limit_bytes:
                _rotate(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def tail(self, function: str, lines: int) -> tuple[str, int]:
        """Return the last lines of a function's output and the offset from which `read_from` continues.

        Not more than the last 4 MiB of a file are looked at, whatever that makes of a line without an end.

        Args:
            function: The function's name.
            lines: How many lines at most; the rotated file is read too when the current one holds fewer.
        """
        path = self.path(function)
        current, end = _last_lines(path, lines)
        older, _ = _last_lines(_rotated(path), lines - len(current))
        return b"".join(older + current).decode(errors="replace"), end

    def read_from(self, function: str, offset: int) -> tuple[str, int]:
        """Return what was printed since an offset, at most 1 MiB of it, and the offset that follows.

        A character whose bytes have not all arrived is left for the next call. A file that is shorter than the offset
        was rotated in between: the rest of the rotated file comes first.

        Args:
            function: The function's name.
            offset: Bytes from the start of the file, as `tail` or an earlier call returned it.
        """
        path = self.path(function)
        offset = max(offset, 0)
        rest = b""
        if offset > _size(path):
            rotated = _rotated(path)
            rest = _read(rotated, max(offset, _size(rotated) - LIMIT_BYTES))
            offset = 0
        data = _read(path, offset)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = rest.decode(errors="replace") + decoder.decode(data)
        return text, offset + len(data) - len(decoder.getstate()[0])


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.local")


def _rotated(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _rotate(path: Path, descriptor: int) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with open(path, "rb") as source, open(temporary, "wb") as copy:
        os.chmod(temporary, 0o600)
        start = max(0, source.seek(0, os.SEEK_END) - LIMIT_BYTES)
        source.seek(start)
        copy.seek(start)
        shutil.copyfileobj(source, copy)
        copy.flush()
        os.replace(temporary, _rotated(path))
        shutil.copyfileobj(source, copy)  # what was printed during the copy
    os.ftruncate(descriptor, 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, offset: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(READ_LIMIT_BYTES)
    except FileNotFoundError:
        return b""


def _last_lines(path: Path, lines: int) -> tuple[list[bytes], int]:
    """Return the last lines of a file, read backwards in blocks, and the file's size."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - the with statement follows; only the opening may find no file
    except FileNotFoundError:
        return [], 0
    with file:
        end = position = file.seek(0, os.SEEK_END)
        blocks: list[bytes] = []
        missing = lines + 1  # ends of lines: the one of the line before tells where the first one begins
        while lines > 0 and position > 0 and missing > 0 and end - position < TAIL_LIMIT_BYTES:
            start = max(position - _BLOCK_BYTES, 0)
            file.seek(start)
            blocks.append(file.read(position - start))
            missing -= blocks[-1].count(b"\n")
            position = start
        data = b"".join(reversed(blocks))
    # Not splitlines: the carriage returns of a progress bar end no line here.
    found = [line + b"\n" for line in data.split(b"\n")]
    found[-1] = found[-1][:-1]
    return [line for line in found if line][-lines:] if lines > 0 else [], end
