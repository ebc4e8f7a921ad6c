"""Finished tasks in a file, so that a search that was interrupted continues where it ended.

JSON lines: first the digest of the search, then the outcomes of one task per line. A line counts once it is complete;
what a crash left of the last one is cut off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import TypeAdapter, ValidationError

from skerry.errors import DataError
from skerry.learn.search.messages import Message, Outcome


class _Head(Message):
    search: str


_LINE = TypeAdapter(list[Outcome])


class Journal:
    """The journal of one search, opened for reading what is there and adding to it.

    Args:
        path: The file; it is created when missing.
        digest: The search it belongs to.

    Raises:
        DataError: the file belongs to another search, or is no journal.
    """

    def __init__(self, path: Path, digest: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("a+b")
        try:
            self.outcomes = self._read(path, digest)
        except BaseException:
            self._file.close()
            raise

    def _read(self, path: Path, digest: str) -> list[Outcome]:
        self._file.seek(0)
        content = self._file.read()
        complete = content[: content.rfind(b"\n") + 1]
        if len(complete) < len(content):
            self._file.truncate(len(complete))
        lines = complete.splitlines()
        if not lines:
            self._append(_Head(search=digest).model_dump_json().encode())
            return []
        try:
            head = _Head.model_validate_json(lines[0])
            outcomes = [outcome for line in lines[1:] for outcome in _LINE.validate_json(line)]
        except ValidationError as error:
            raise DataError(f"journal: {path} is no journal of a search; choose another file") from error
        if head.search != digest:
            raise DataError(
                f"journal: {path} belongs to a search with other data, folds, model or grid; "
                "choose another file, or delete it to start anew"
            )
        return outcomes

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes of a finished task; they survive a crash once this returns."""
        self._append(_LINE.dump_json(list(outcomes)))

    def _append(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
