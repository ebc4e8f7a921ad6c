"""A store of objects in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from skerry.errors import ObjectNotFoundError
from skerry.store.objects import faults
from skerry.store.objects.base import ObjectInfo, ObjectStore
from skerry.store.objects.folder import layout, sweeping, writing
from skerry.store.objects.folder.reading import open_blob, walk
from skerry.store.objects.keys import check_key, check_prefix
from skerry.store.objects.pieces import check_bytes, check_chunk_bytes, check_pieces, verify

LEFTOVER_AGE_S = 3600.0


class FolderStore(ObjectStore):
    """Objects as files in a folder of one machine, or of a network file system; the layout is in `layout`.

    The file system must have symbolic links (ext4, XFS, Btrfs, ZFS, tmpfs, NFS; not FAT or exFAT). A copy of the folder
    has to keep them: ``cp -a``, ``rsync -a``, ``tar``. The folder is made by the first write.

    Args:
        root: The folder.

    Example:
        >>> store = FolderStore(Path("/tmp/objects"))
        >>> store.put("notes/today", b"calm sea").size_bytes
        8
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self._url = Path(self._root).as_uri()
        self._swept: set[str] = set()

    @property
    def url(self) -> str:
        """The folder, as ``file:///…``."""
        return self._url

    def put(self, key: str, data: bytes | Iterable[bytes]) -> ObjectInfo:
        """Write an object; see `ObjectStore.put`."""
        folder, name = layout.place_of(self._root, check_key(key))
        with self._drafted(key, folder, data) as draft:
            modified_at = draft.finish()
            draft.place(name)
            return ObjectInfo(key=key, size_bytes=draft.size_bytes, modified_at=modified_at)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; see `ObjectStore.put_if_absent`."""
        folder, name = layout.place_of(self._root, check_key(key))
        whole = check_bytes(key, data)
        if os.path.lexists(os.path.join(folder, name)):
            with self._mapped(key, folder):
                self._settle(folder)
                return False
        with self._drafted(key, folder, whole) as draft:
            draft.finish()
            placed = draft.place_if_absent(name)
            if not placed:
                self._settle(folder)
            return placed

    def get(self, key: str) -> bytes:
        """Return the bytes of an object, verified; see `ObjectStore.get`."""
        with (
            self._opened(check_key(key)) as (descriptor, sha256),
            self._mapped(key, self._root),
            open(descriptor, "rb", buffering=0, closefd=False) as file,
        ):
            data = file.readall()
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise faults.mismatch(self._url, key, sha256, found)
        return data

    def stream(self, key: str, *, chunk_bytes: int = 2**20) -> Iterator[bytes]:
        """Return an iterator over the bytes of an object; see `ObjectStore.stream`."""
        return self._stream(check_key(key), check_chunk_bytes(chunk_bytes))

    def describe(self, key: str) -> ObjectInfo:
        """Return what is known about an object; see `ObjectStore.describe`."""
        with self._opened(check_key(key)) as (descriptor, _):
            found = os.fstat(descriptor)
        return ObjectInfo(key=key, size_bytes=found.st_size, modified_at=found.st_mtime)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Return an iterator over objects, sorted by key; see `ObjectStore.list`."""
        return self._list(check_prefix(prefix))

    def delete(self, key: str) -> bool:
        """Remove an object; see `ObjectStore.delete`."""
        folder, name = layout.place_of(self._root, check_key(key))
        taken = os.path.join(folder, layout.new_link())
        with self._mapped(key, folder):
            try:
                os.rename(os.path.join(folder, name), taken)  # of several that delete, one gets the link
            except FileNotFoundError:
                return False
            target = writing.target_of(taken)
            os.unlink(taken)
            if target is not None:
                writing.remove(os.path.join(folder, target))
            self._settle(folder)
        writing.prune(folder, self._root)
        return True

    def sweep(self) -> int:
        """Remove what killed writers have left; see `ObjectStore.sweep`."""
        before_s = time.time() - LEFTOVER_AGE_S
        removed = 0
        with self._mapped(None, self._root):
            for folder, _, _ in os.walk(self._root, topdown=False):
                removed += sweeping.sweep_folder(folder, before_s=before_s)
                writing.prune(folder, self._root)
        return removed

    @contextlib.contextmanager
    def _drafted(self, key: str, folder: str, data: bytes | Iterable[bytes]) -> Iterator[writing.Draft]:
        """Write data into a draft, hand it out to be put in place, and leave nothing of it when that fails."""
        with self._mapped(key, folder):
            draft = writing.Draft(folder)
        placed = False
        try:
            for piece in check_pieces(
                key, data
            ):  # what the caller's own iterator raises is the caller's, and stays as it is
                with self._mapped(key, folder, draft):
                    draft.write(piece)
            with self._mapped(key, folder, draft):
                yield draft
            placed = True
        finally:
            draft.close()
            if not placed:
                writing.prune(folder, self._root)
        if folder not in self._swept:
            self._swept.add(folder)
            with contextlib.suppress(OSError):  # another user's leftovers; the object is written all the same
                sweeping.sweep_folder(folder, before_s=time.time() - LEFTOVER_AGE_S)

    @contextlib.contextmanager
    def _mapped(self, key: str | None, folder: str, draft: writing.Draft | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise faults.of_system(
                error, self._url, key, folder, done_bytes=draft.size_bytes if draft else None
            ) from error

    def _settle(self, folder: str) -> None:
        """Make what others have written or deleted in a folder durable before anybody acts on it."""
        with contextlib.suppress(FileNotFoundError):
            writing.fsync_folder(folder)

    def _stream(self, key: str, chunk_bytes: int) -> Iterator[bytes]:
        with self._opened(key) as (descriptor, sha256):
            pieces = self._pieces(descriptor, key, chunk_bytes)
            yield from verify(pieces, sha256, lambda found: faults.mismatch(self._url, key, sha256, found))

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, str]]:
        folder, name = layout.place_of(self._root, key)
        with self._mapped(key, folder):
            descriptor, sha256 = open_blob(folder, name, url=self._url, key=key)
        try:
            yield descriptor, sha256
        finally:
            os.close(descriptor)

    def _pieces(self, descriptor: int, key: str, chunk_bytes: int) -> Iterator[bytes]:
        while True:
            with self._mapped(key, self._root):
                piece = os.read(descriptor, chunk_bytes)
            if not piece:
                return
            yield piece

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        entries = walk(self._root, prefix)
        while True:
            with self._mapped(None, self._root):
                key = next(entries, None)
            if key is None:
                return
            with contextlib.suppress(ObjectNotFoundError):  # deleted since the folder was read
                yield self._listed(key)

    def _listed(self, key: str) -> ObjectInfo:
        """Return what is known about an object, corrupt or not: a list shows what is there."""
        folder, name = layout.place_of(self._root, key)
        with self._mapped(key, folder):
            for follow in (True, False):
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(os.path.join(folder, name), follow_symlinks=follow)
                    return ObjectInfo(key=key, size_bytes=found.st_size * follow, modified_at=found.st_mtime)
        raise faults.missing(self._url, key)
