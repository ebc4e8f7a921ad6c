"""The content of a version's files on its way into the store, each under its checksum."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from skerry.errors import ModelRejectedError, ObjectNotFoundError
from skerry.store.models.draft import FileEntry
from skerry.store.models.names import blob_key
from skerry.store.objects import ObjectStore

CHUNK_BYTES = 2**20
# Content that is there already is written again unless it is as young as this: garbage collection spares what is young,
# so nothing that a publisher relies on can go before its manifest is there.
REUSE_S = 600.0


def put_content(store: ObjectStore, name: str, files: Mapping[str, Path | bytes]) -> dict[str, FileEntry]:
    """Write the content of files that the store does not have, and return their entries by name.

    Args:
        store: Where to.
        name: The model, for messages.
        files: By name, the content or where it lies.

    Raises:
        ModelRejectedError: a file cannot be read, or changed while it was read.
        StorageError: the store failed.
    """
    entries = {file: _entry(name, file, source) for file, source in sorted(files.items())}
    for file, entry in entries.items():
        if not _is_young(store, entry):
            store.put(blob_key(entry.sha256), _checked(name, file, files[file], entry))
    return entries


def _entry(name: str, file: str, source: Path | bytes) -> FileEntry:
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in _chunks(name, file, source):
        digest.update(chunk)
        size_bytes += len(chunk)
    return FileEntry(size_bytes, digest.hexdigest())


def _checked(name: str, file: str, source: Path | bytes, entry: FileEntry) -> Iterator[bytes]:
    """Yield the content, and raise at its end if it is not what it was: the store then keeps nothing of it."""
    digest = hashlib.sha256()
    for chunk in _chunks(name, file, source):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != entry.sha256:
        raise ModelRejectedError(f"model {name}: {file} changed while it was read; push it again when it is complete")


def _chunks(name: str, file: str, source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    try:
        with source.open("rb", buffering=0) as opened:
            while chunk := opened.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise ModelRejectedError(f"model {name}: {file} cannot be read from {source}: {error.strerror}") from error


def _is_young(store: ObjectStore, entry: FileEntry) -> bool:
    try:
        info = store.describe(blob_key(entry.sha256))
    except ObjectNotFoundError:
        return False
    return info.size_bytes == entry.size_bytes and 0 <= time.time() - info.modified_at < REUSE_S
