"""The models that a machine has fetched: each content once, shared by all versions, workers and processes.

::

    blobs/sha256-<hex>          contents, verified when they were fetched
    versions/NAME@3-<digest>/   the files of a version under their names, hard links to the contents; and its manifest
    locks/                      files to lock, empty

Folders of versions are written beside and renamed, so each is whole or not there. Who fetches a version holds its lock;
whoever asks meanwhile waits and finds it. Who uses a version holds a shared lock on its folder, and what is in use is
never evicted. The kernel gives back the locks of a process that dies, and the next one that comes clears up after it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from skerry.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from skerry.store.models.draft import FileEntry
from skerry.store.models.eviction import Eviction, evict
from skerry.store.models.files import (
    close_folder,
    disk_errors,
    is_verified,
    link,
    locked,
    remove_folder,
    same_file,
    write_verified,
)
from skerry.store.models.manifest import Manifest
from skerry.store.models.names import MANIFEST_FILE, blob_key
from skerry.store.models.repository import ModelRepository

TRIES = 10


class ModelCache:
    """A folder of fetched models; safe for threads and processes.

    Args:
        folder: Where; it is made at the first fetch.
        limit_bytes: Most bytes that contents may take together before the least recently used go; None: no limit. What
            is in use stays, even beyond the limit.

    Example:
        ``folder = ModelCache(cache_folder(), limit_bytes=None).fetch(repository, repository.resolve(reference))``
    """

    def __init__(self, folder: Path, *, limit_bytes: int | None = None) -> None:
        self.folder = folder.absolute()
        self.limit_bytes = limit_bytes

    def fetch(self, repository: ModelRepository, manifest: Manifest) -> Path:
        """Return a read-only folder with the files of a version and its `manifest.json`; fetch what is not there.

        Nothing keeps the folder from being evicted later; see `hold` and `take`.

        Raises:
            CorruptObjectError: the store's content is missing, or not what was published.
            StorageError: the store or the disk failed, or the version is larger than the cache may be.
        """
        path = self.path_of(manifest)
        if _is_whole(path, manifest):
            _touch(path)
            return path
        if self.limit_bytes is not None and manifest.size_bytes > self.limit_bytes:
            raise StorageError(
                f"model {manifest} has {manifest.size_bytes} bytes, the cache in {self.folder} may have "
                f"{self.limit_bytes}; raise its limit"
            )
        with disk_errors(path):
            for folder in (self.blobs, self.versions, self.locks):
                folder.mkdir(parents=True, exist_ok=True)
            if self.limit_bytes is not None:
                self.evict(max(0, self.limit_bytes - self._missing_bytes(manifest)))
            with locked(self._lock_of(path.name)):
                if not _is_whole(path, manifest):
                    self._fetch(repository, manifest, path)
        if self.limit_bytes is not None:
            self.evict(self.limit_bytes, keep=path)  # others may have fetched at the same time
        return path

    def hold(self, path: Path) -> Hold:
        """Keep a fetched version from being evicted, until what is returned is closed or the process ends.

        Raises:
            StorageError: it was evicted meanwhile; fetch it again.
        """
        return Hold(path)

    def take(self, repository: ModelRepository, manifest: Manifest) -> Hold:
        """Fetch a version and hold it: nothing can come between.

        Raises:
            CorruptObjectError: see `fetch`.
            StorageError: see `fetch`.
        """
        for _ in range(TRIES):
            path = self.fetch(repository, manifest)
            try:
                return self.hold(path)
            except StorageError:
                continue
        raise StorageError(f"model {manifest} is evicted as fast as it is fetched; raise the limit of {self.folder}")

    def evict(self, limit_bytes: int, *, keep: Path | None = None) -> Eviction:
        """Remove the versions that were not used for the longest, until the contents fit; never what is in use.

        It also clears up what fetches that were killed have left.

        Args:
            limit_bytes: Most bytes that contents may take afterwards; 0 removes all that is not in use.
            keep: A version's folder that stays in any case.
        """
        if not self.folder.is_dir():
            return Eviction()
        with disk_errors(self.folder):
            return evict(self.folder, limit_bytes, keep=keep)

    def path_of(self, manifest: Manifest) -> Path:
        """Return where a version is once it has been fetched; by its digest, as stores may disagree about numbers."""
        return self.versions / f"{manifest}-{manifest.digest.removeprefix('sha256:')}"

    @property
    def blobs(self) -> Path:
        """The folder of contents."""
        return self.folder / "blobs"

    @property
    def versions(self) -> Path:
        """The folder of versions."""
        return self.folder / "versions"

    @property
    def locks(self) -> Path:
        """The folder of lock files."""
        return self.folder / "locks"

    def _lock_of(self, name: str) -> Path:
        return self.locks / name

    def _missing_bytes(self, manifest: Manifest) -> int:
        sizes = {entry.sha256: entry.size_bytes for entry in manifest.files.values()}
        return sum(size for sha256, size in sizes.items() if not (self.blobs / f"sha256-{sha256}").exists())

    def _fetch(self, repository: ModelRepository, manifest: Manifest, path: Path) -> None:
        """Build the folder of a version; its lock is held."""
        beside = path.with_name(f".partial-{path.name}")
        remove_folder(beside)  # of one that was killed here
        try:
            beside.mkdir()
            for file, entry in manifest.files.items():
                blob = self.blobs / f"sha256-{entry.sha256}"
                with locked(self._lock_of(blob.name)):
                    if not is_verified(blob, entry):
                        self._fetch_blob(repository, manifest, file, entry, blob)
                    # Under the lock still: a content that nothing links to may be evicted.
                    link(blob, beside / file)
            (beside / MANIFEST_FILE).write_bytes(manifest.to_json())
            (beside / MANIFEST_FILE).chmod(0o444)
            close_folder(beside)
            remove_folder(path)  # it is there where a file of it was changed
            beside.rename(path)
        except BaseException:
            remove_folder(beside)
            raise

    def _fetch_blob(
        self, repository: ModelRepository, manifest: Manifest, file: str, entry: FileEntry, blob: Path
    ) -> None:
        try:
            write_verified(blob, repository.store.stream(blob_key(entry.sha256)), entry)
        except ObjectNotFoundError as error:
            raise CorruptObjectError(
                f"model {manifest}: the store has no content for {file}; push the model again"
            ) from error
        except CorruptObjectError as error:
            raise CorruptObjectError(f"model {manifest}, {file}: {error.message}") from error


class Hold:
    """A version that is in use: a shared lock on its folder; a context manager. Made by `ModelCache.hold`.

    A child that is forked while it is open holds it too, and goes on when the parent closes its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        gone = StorageError(f"{path} was evicted; fetch the model again")
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise gone from None
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        if not same_file(self._descriptor, path):
            self.close()
            raise gone
        _touch(path)

    def close(self) -> None:
        """Let it be evicted; further calls do nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_whole(path: Path, manifest: Manifest) -> bool:
    try:
        if (path / MANIFEST_FILE).read_bytes() != manifest.to_json():
            return False
    except OSError:
        return False
    return all(is_verified(path / file, entry) for file, entry in manifest.files.items())


def _touch(path: Path) -> None:
    """Note that a version is used, where this user may."""
    try:
        os.utime(path)
    except OSError:
        return
