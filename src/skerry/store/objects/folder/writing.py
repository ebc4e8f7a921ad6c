"""Writing an object into a folder: a draft that nobody sees, and one step that puts it in place."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os

from skerry.store.objects.folder import layout

_ATTEMPTS = 100  # a folder can vanish between its making and its use, when the last object in it is deleted


class Draft:
    """Bytes on their way to an object.

    The file is locked by its writer until the link is in place, so that a sweep can tell what is being written from
    what a killed writer has left: the kernel gives the locks of a dead process back.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._name = layout.new_draft()
        self._descriptor = self._create()
        with contextlib.suppress(OSError):  # a network file system without locks: there the age alone decides
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, piece: bytes | memoryview) -> None:
        """Append bytes."""
        self._digest.update(piece)
        rest = memoryview(piece)
        while rest:
            written = os.write(self._descriptor, rest)
            self.size_bytes += written
            rest = rest[written:]

    def finish(self) -> float:
        """Make the bytes durable and name them by their checksum.

        Returns:
            When they were written, in seconds since 1970.
        """
        os.fsync(self._descriptor)
        finished = layout.new_blob(self._digest.hexdigest())
        os.rename(self._path(self._name), self._path(finished))
        self._name = finished
        return os.fstat(self._descriptor).st_mtime

    def place(self, name: str) -> None:
        """Point the object's link at the finished bytes, and remove what it pointed at before."""
        link, place = self._path(layout.new_link()), self._path(name)
        os.symlink(self._name, link)
        try:
            before = target_of(place)
            os.rename(link, place)
        except OSError:
            os.unlink(link)
            raise
        self._name = ""
        fsync_folder(self.folder)
        if before is not None:
            remove(self._path(before))

    def place_if_absent(self, name: str) -> bool:
        """Point the object's link at the finished bytes, unless there is one.

        Returns:
            Whether there was none.
        """
        try:
            os.symlink(self._name, self._path(name))
        except FileExistsError:
            return False
        self._name = ""
        fsync_folder(self.folder)
        return True

    def close(self) -> None:
        """Give the lock back, and remove the bytes when no link has been pointed at them."""
        if self._name:
            remove(self._path(self._name))
        os.close(self._descriptor)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _create(self) -> int:
        # Nobody writes to a finished object, so nobody needs the permission to.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                return os.open(self._path(self._name), flags, 0o444)
            make_folder(self.folder)
        return os.open(self._path(self._name), flags, 0o444)


def make_folder(folder: str) -> None:
    """Make a folder and the ones above it, durably. What another process removes meanwhile may be missing again."""
    parent = os.path.dirname(folder)
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:
        if parent != folder:
            make_folder(parent)
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                os.mkdir(folder)
    with contextlib.suppress(FileNotFoundError):
        fsync_folder(parent)


def prune(folder: str, root: str) -> None:
    """Remove a folder and those above it as far as they are empty, but not the root."""
    while folder != root:
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)


def target_of(place: str) -> str | None:
    """Return the name of the bytes that an object's link points at; None when there is no link of the layout."""
    try:
        target = os.readlink(place)
    except OSError:
        return None
    return target if layout.checksum_of(target) else None


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def fsync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
