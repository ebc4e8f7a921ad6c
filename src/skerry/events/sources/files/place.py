"""Where files appear: a folder of this machine, or a bucket. Everything here waits for a disk or a server."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from skerry.errors import StorageError
from skerry.spec import FileSource
from skerry.store.objects import ObjectStore, open_store

UNFINISHED: Final = (".part", ".tmp")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file as a look has found it.

    Args:
        key: Its path below the place; one that an event cannot hold, or with a ``%``, is written as in an address.
        version: Another one when it is written anew.
        url: Its address.
        size_bytes: Its size.
        modified_at: When it was written, Unix time, seconds.
        path: Its path on this machine; none in a bucket, and where the name is no text.
    """

    key: str
    version: str
    url: str
    size_bytes: int
    modified_at: float
    path: str | None


class Place(ABC):
    """Where files appear."""

    @abstractmethod
    def files(self) -> Iterator[FoundFile]:
        """Return the files that are there.

        Raises:
            StorageError: the place cannot be read.
        """

    def is_written(self, file: FoundFile) -> bool:
        """Return whether a file is being written, or has been since it was found, as far as the system tells."""
        return False


class FolderPlace(Place):
    """A folder and those below it; links are not followed.

    Args:
        folder: Its path.
        pattern: Which names count.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder = folder
        self._pattern = pattern

    def files(self) -> Iterator[FoundFile]:
        """See `Place.files`."""
        try:
            os.stat(self._folder)  # one that is missing is not an empty one

            def fail(error: OSError) -> None:
                # A folder below that was removed meanwhile has no files; anything else hides some.
                if not isinstance(error, FileNotFoundError):
                    raise error

            for folder, folders, names in os.walk(self._folder, onerror=fail):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(names):
                    if is_wanted(name, self._pattern):
                        found = self._found(Path(folder) / name)
                        if found is not None:
                            yield found
        except OSError as error:
            raise StorageError(f"the folder {self._folder} cannot be read: {error.strerror or error}") from error

    def _found(self, path: Path) -> FoundFile | None:
        try:
            about = path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(about.st_mode):
            return None
        key = path.relative_to(self._folder).as_posix()
        is_text = all(not "\ud800" <= character <= "\udfff" for character in key)
        return FoundFile(
            key=readable(key),
            version=_version(about),
            url=path.as_uri(),
            size_bytes=about.st_size,
            modified_at=about.st_mtime,
            path=str(path) if is_text else None,
        )

    def is_written(self, file: FoundFile) -> bool:
        """Return whether a process has a file open for writing, or has written it since it was found.

        The system gives a lease for reading only where nobody writes. It does so for files of this user, and for root.
        """
        path = unquote(urlsplit(file.url).path, errors="surrogateescape")
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except PermissionError:
            return False  # the function will not be able to read it either, and says so
        except OSError:
            return True  # it is gone, or something else has its name: it is looked at again
        try:
            # Who opens the file now breaks the lease, which the system tells by a signal: one that does nothing.
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return True
        finally:
            about = os.fstat(descriptor)  # while the lease holds
            os.close(descriptor)  # gives it back
        return _version(about) != file.version


class BucketPlace(Place):
    """A store of objects, in which writes are whole.

    Args:
        store: The store.
        pattern: Which names count.
    """

    def __init__(self, store: ObjectStore, pattern: str) -> None:
        self._store = store
        self._pattern = pattern

    def files(self) -> Iterator[FoundFile]:
        """See `Place.files`."""
        base = self._store.url.partition("?")[0].rstrip("/")
        for one in self._store.list():
            if is_wanted(one.key.rpartition("/")[2], self._pattern):
                yield FoundFile(
                    key=readable(one.key),
                    version=f"{one.size_bytes}-{one.modified_at}",
                    url=f"{base}/{one.key}",
                    size_bytes=one.size_bytes,
                    modified_at=one.modified_at,
                    path=None,
                )


def open_place(source: FileSource) -> Place:
    """Return the place of a source. Nothing is read yet.

    Raises:
        ConfigError: its address is none.
    """
    if source.url.startswith("s3:"):
        return BucketPlace(open_store(source.url), source.pattern)
    path = unquote(urlsplit(source.url).path) if source.url.startswith("file:") else source.url
    return FolderPlace(Path(path), source.pattern)


def is_wanted(name: str, pattern: str) -> bool:
    """Return whether files of a name count: hidden ones, and those that writers call unfinished, never do."""
    return not name.startswith(".") and not name.endswith(UNFINISHED) and fnmatchcase(name, pattern)


def readable(key: str) -> str:
    """Return a key as an event can hold it; two are never the same."""
    return key if key.isprintable() and "%" not in key else quote(key, errors="surrogateescape")


def _version(about: os.stat_result) -> str:
    return f"{about.st_size}-{about.st_mtime_ns}"
