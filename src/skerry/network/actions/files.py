"""What an actuator has to remember of its actions where that which carries them out does not: a file for each."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skerry.errors import PlatformError, StorageError


class ActionFiles:
    """A folder with one file for each action, named after it.

    Args:
        folder: Which; it is made when it is first written to.
        suffix: How the files' names end.
    """

    def __init__(self, folder: Path, *, suffix: str) -> None:
        self._folder = folder
        self._suffix = suffix

    def has(self, action_id: str) -> bool:
        """Return whether there is a file of an action."""
        return self._file(action_id).exists()

    def ids(self) -> list[str]:
        """Return the ids of the actions that have a file."""
        return [file.stem for file in sorted(self._folder.glob(f"*{self._suffix}"))] if self._folder.exists() else []

    def read(self, action_id: str) -> list[Any]:
        """Return what an action's file holds; nothing where there is none any more."""
        try:
            held: list[Any] = json.loads(self._file(action_id).read_text(encoding="utf-8"))
        except FileNotFoundError:  # another process has just withdrawn it
            return []
        return held

    def write(self, action_id: str, plain: list[Any]) -> None:
        """Write an action's file, which is on the disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        draft = self._folder / f"{action_id}.draft"
        try:
            with draft.open("w", encoding="utf-8") as file:
                json.dump(plain, file)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._file(action_id))
        except OSError as error:
            raise StorageError(f"action {action_id} cannot be written to {self._folder}: {error}") from error

    def remove(self, action_id: str) -> None:
        """Remove an action's file."""
        self._file(action_id).unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Run a block while no other process is in such a block of the same folder.

        Raises:
            PlatformError: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PlatformError(f"actions cannot be changed without a lock in {self._folder}: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _file(self, action_id: str) -> Path:
        return self._folder / f"{action_id}{self._suffix}"
