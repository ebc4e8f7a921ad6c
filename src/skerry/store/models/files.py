"""Files and locks of the cache: written beside and renamed; locked by the kernel until their process ends."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skerry.errors import CorruptObjectError, StorageError
from skerry.store.models.draft import FileEntry

# A file is stamped with this time once its content was verified. Whoever writes to it later moves its time, so that the
# stamp and the length say "as verified" without a second record that could disagree.
VERIFIED_NS = 1_000_000_000 * 10**9
FILE_MODE = 0o444
FOLDER_MODE = 0o555

_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file of a path, waiting for it as long as it takes."""
    descriptor = _lock(path, fcntl.LOCK_EX)
    if descriptor is None:
        raise StorageError(f"{path} cannot be locked")
    try:
        yield
    finally:
        _unlock(descriptor)


@contextmanager
def locked_now(path: Path, *, remove: bool = False) -> Iterator[bool]:
    """Hold a lock file if nobody else does; yields whether it is held.

    Args:
        path: The lock file.
        remove: Whether to remove it at the end; whoever waits for it notices.
    """
    descriptor = _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if descriptor is None:
        yield False
        return
    try:
        yield True
        if remove:
            path.unlink(missing_ok=True)
    finally:
        _unlock(descriptor)


def _lock(path: Path, how: int) -> int | None:
    """Return the descriptor of the locked file, None where somebody else holds it and `how` says not to wait."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, how)
            if same_file(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was removed while we waited: lock the new one


def _unlock(descriptor: int) -> None:
    # Closing alone would leave the lock to a child that was forked meanwhile.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def same_file(descriptor: int, path: Path) -> bool:
    """Return whether a path still names what was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_verified(path: Path, entry: FileEntry) -> bool:
    """Return whether a file has the length that it should have, and nobody wrote to it since it was verified."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == entry.size_bytes and status.st_mtime_ns == VERIFIED_NS


def write_verified(path: Path, chunks: Iterable[bytes], entry: FileEntry) -> None:
    """Write a file beside its place, check it against its checksum, and put it there.

    The caller holds the lock of the path: there is one such file beside it at a time.

    Raises:
        CorruptObjectError: the content is not what was published.
        StorageError: it cannot be written; nothing is left of it.
    """
    beside = path.with_name(f".partial-{path.name}")
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with disk_errors(path), beside.open("wb", buffering=0) as file:
            for chunk in chunks:
                size_bytes += len(chunk)
                if size_bytes > entry.size_bytes:
                    break
                digest.update(chunk)
                _write_all(file.fileno(), chunk)
            if (size_bytes, digest.hexdigest()) != (entry.size_bytes, entry.sha256):
                raise CorruptObjectError(
                    f"{path.name}: the store gave {size_bytes} bytes with SHA-256 {digest.hexdigest()}, published were "
                    f"{entry.size_bytes} with {entry.sha256}; push the model again"
                )
            os.fchmod(file.fileno(), FILE_MODE)
            os.fsync(file.fileno())
        with disk_errors(path):
            os.utime(beside, ns=(VERIFIED_NS, VERIFIED_NS))
            beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _write_all(descriptor: int, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.write(descriptor, left) :]


def link(blob: Path, path: Path) -> None:
    """Give a file a second name, or copy it where the file system has no hard links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(blob, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(blob, path)
        path.chmod(FILE_MODE)
        os.utime(path, ns=(VERIFIED_NS, VERIFIED_NS))


def close_folder(folder: Path) -> None:
    """Let nobody write into a folder and those in it."""
    for parent, _, __ in os.walk(folder, topdown=False):
        os.chmod(parent, FOLDER_MODE)


def remove_folder(folder: Path) -> None:
    """Remove a folder that was closed; one that is not there is fine."""
    for parent, _, __ in os.walk(folder):
        with suppress(OSError):
            os.chmod(parent, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an error of the disk into a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the cache of models cannot write {path}: {error.strerror}; make room, or name another folder with "
            "SKERRY_MODEL_CACHE"
        ) from error
