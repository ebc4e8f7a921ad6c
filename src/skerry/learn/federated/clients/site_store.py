"""What a client keeps at its site between rounds: one folder per job and client, one file in it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skerry.learn.federated.wire.frames import frame_pieces, read_frame, write_all
from skerry.learn.federated.wire.messages import FitReply
from skerry.learn.federated.wire.parameters import Vector

KEPT_JOBS = 8
KEPT_S = 7 * 24 * 3600.0
_STRANGE = re.compile(r"[^A-Za-z0-9_-]")
_ENGINE_VARIABLE = "SKERRY_ENGINE"  # names the socket in the folder of the engine around a worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a client holds.

    Args:
        model: The model that it was given last.
        digest: Of it.
        residual: What its coding has left out so far (error feedback).
        control: Its control variate, for SCAFFOLD.
        reply: Its last reply.
    """

    model: Vector
    digest: str
    residual: Vector | None = None
    control: Vector | None = None
    reply: FitReply | None = None


class SiteStore:
    """What one client keeps of one job.

    It lies under one of two names, of which the other is free: a new one is written beside the old one, whose name is
    then freed. Where a file is replaced instead, file systems wait for the disk, lest a loss of power leaves neither.

    Args:
        root: Folder of all jobs.
        job: The job.
        client: The client.
    """

    def __init__(self, root: Path, job: str, client: str) -> None:
        # Plain paths: this is opened once a round, and a round may take milliseconds.
        self._root = os.fspath(root)
        self._folder = os.path.join(self._root, _file_name(job))
        self._stem = os.path.join(self._folder, _file_name(client))
        self._there: tuple[str, int] | None = None  # what was found or written last: its path and its number

    @property
    def secure_path(self) -> Path:
        """Where the client's side of a secure aggregation lies."""
        return Path(f"{self._stem}.secure")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other worker from this client's things during the block; waits for one that has them."""
        descriptor = self._open_lock()
        try:
            # The kernel lets go of it when the worker dies, whatever happens.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
            self._there = None

    def read(self) -> Held | None:
        """Return what is held; none where there is nothing whole."""
        found = self._find()
        if found is None:
            return None
        reply = found.pop("reply")
        return Held(**found, reply=None if reply is None else FitReply.model_validate(reply))

    def write(self, held: Held) -> None:
        """Replace what is held: a worker that dies meanwhile leaves the old or the new."""
        if self._there is None:
            self._find()
        old, number = self._there or ("", 0)
        value: dict[str, Any] = {
            "number": number + 1,
            "model": held.model,
            "digest": held.digest,
            "residual": held.residual,
            "control": held.control,
            "reply": None if held.reply is None else held.reply.model_dump(),
        }
        most_bytes = max(held.model.nbytes, _update_bytes(held.reply))
        first, second = self._names()
        path = second if old == first else first
        # No draft: until all of it is there, its checksum says so, and the old one counts.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, frame_pieces(value, most_bytes=most_bytes))
        finally:
            os.close(descriptor)
        if old:
            _remove(old)
        self._there = (path, number + 1)

    def _open_lock(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(f"{self._stem}.lock", flags, 0o600)
        except FileNotFoundError:
            os.makedirs(self._folder, exist_ok=True)
            prune_jobs(Path(self._root), now_s=time.time())
            return os.open(f"{self._stem}.lock", flags, 0o600)

    def _names(self) -> tuple[str, str]:
        return f"{self._stem}.1.held", f"{self._stem}.2.held"

    def _find(self) -> dict[str, Any] | None:
        """Return the newest of what is there and whole: two only where a worker died before it removed the old."""
        newest: dict[str, Any] | None = None
        self._there = None
        for path in self._names():
            try:
                with open(path, "rb", buffering=0) as file:
                    frame = read_frame(file.read())
            except FileNotFoundError:
                continue
            if frame is None:
                continue
            number = frame[0].pop("number")
            if self._there is None or number > self._there[1]:
                newest, self._there = frame[0], (path, number)
        return newest


def prune_jobs(root: Path, *, now_s: float) -> None:
    """Remove what is kept of jobs, but for the newest ones: a client that is asked again starts from the whole model.

    Args:
        root: Folder of all jobs.
        now_s: Unix time, seconds.
    """
    aged = sorted(((_touched_s(folder), folder) for folder in root.iterdir() if folder.is_dir()), reverse=True)
    for place, (touched_s, folder) in enumerate(aged):
        if place >= KEPT_JOBS or now_s - touched_s > KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)


def default_root(app: str) -> Path:
    """Return the folder for an app's jobs: in the engine's own folder, where it outlives workers and the engine."""
    around = os.environ.get(_ENGINE_VARIABLE)
    if around:
        return Path(around).parent / "federated" / app
    return Path(tempfile.gettempdir()) / f"skerry-federated-{os.getuid()}" / app


def _update_bytes(reply: FitReply | None) -> int:
    return 0 if reply is None or reply.update is None else len(reply.update.data)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _touched_s(folder: Path) -> float:
    with suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _file_name(name: str) -> str:
    """Return a name as that of a file: what is no letter, digit, - or _ is written as its code point."""
    return _STRANGE.sub(lambda found: f"+{ord(found[0]):x}+", name)
