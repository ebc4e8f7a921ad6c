"""What a client keeps at its site between rounds: one folder per job and client, one file in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skerry.learn.federated.wire.frames import read_frame, write_frame
from skerry.learn.federated.wire.messages import FitReply
from skerry.learn.federated.wire.parameters import Vector

KEPT_JOBS = 8
KEPT_S = 7 * 24 * 3600.0
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

    Args:
        root: Folder of all jobs.
        job: The job.
        client: The client.
    """

    def __init__(self, root: Path, job: str, client: str) -> None:
        self._root = root
        self._folder = root / _file_name(job)
        self._client = _file_name(client)
        self._lock = self._folder / f"{self._client}.lock"

    @property
    def secure_path(self) -> Path:
        """Where the client's side of a secure aggregation lies."""
        return self._folder / f"{self._client}.secure"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other worker from this client's things during the block; waits for one that has them."""
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            prune_jobs(self._root, now_s=time.time())
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The kernel lets go of it when the worker dies, whatever happens.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Held | None:
        """Return what is held; none where there is nothing whole."""
        for path in reversed(self._files()):
            found = read_frame(path.read_bytes())
            if found is not None:
                break
        else:
            return None
        value, _ = found
        reply = value.pop("reply")
        return Held(**value, reply=None if reply is None else FitReply.model_validate(reply))

    def write(self, held: Held) -> None:
        """Replace what is held, by one rename: a worker that dies meanwhile leaves the old or the new."""
        value: dict[str, Any] = {
            "model": held.model,
            "digest": held.digest,
            "residual": held.residual,
            "control": held.control,
            "reply": None if held.reply is None else held.reply.model_dump(),
        }
        before = self._files()
        number = int(before[-1].suffixes[-2][1:]) + 1 if before else 1
        path = self._folder / f"{self._client}.{number:08}.held"
        draft = path.with_suffix(".draft")
        draft.write_bytes(write_frame(value))
        # To a new name: where a file is replaced, file systems wait for the disk, lest a loss of power leaves neither.
        draft.replace(path)
        for old in before:
            old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """Return what is held, the newest last: more than one only where a worker died before it removed the old."""
        return sorted(self._folder.glob(f"{self._client}.[0-9]*.held"))


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


def _touched_s(folder: Path) -> float:
    with suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _file_name(name: str) -> str:
    """Return a name as that of a file: what is no letter, digit, - or _ is written as its code point."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"+{ord(c):x}+" for c in name)
