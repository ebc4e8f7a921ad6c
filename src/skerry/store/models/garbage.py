"""Removal of content that no version names."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from skerry.errors import ObjectNotFoundError
from skerry.store.models.manifest import Manifest
from skerry.store.models.names import BLOBS
from skerry.store.objects import ObjectInfo, ObjectStore

GRACE_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """What a collection did.

    Args:
        removed: How many contents it removed.
        removed_bytes: Their length together.
        kept: How many stay: named by a version, or young.
    """

    removed: int
    removed_bytes: int
    kept: int


def collect(store: ObjectStore, live: Iterable[Manifest], *, grace_s: float = GRACE_S) -> Garbage:
    """Remove contents that no manifest names and that are older than a grace.

    Args:
        store: Where.
        live: The manifests of all versions that are not deleted; read after the contents were listed, so that a version
            published meanwhile is among them, or its content is young.
        grace_s: Content younger than this stays.
    """
    contents = list(store.list(BLOBS))
    named = {entry.sha256 for manifest in live for entry in manifest.files.values()}
    newest = time.time() - grace_s
    removed_bytes = removed = 0
    for info in contents:
        if info.key.removeprefix(BLOBS) in named or not _is_old(store, info, newest):
            continue
        if store.delete(info.key):
            removed += 1
            removed_bytes += info.size_bytes
    store.sweep()
    return Garbage(removed=removed, removed_bytes=removed_bytes, kept=len(contents) - removed)


def _is_old(store: ObjectStore, info: ObjectInfo, newest: float) -> bool:
    """Return whether content is old, and still is: its publisher may have written it again since it was listed."""
    if info.modified_at > newest:
        return False
    try:
        return store.describe(info.key).modified_at <= newest
    except ObjectNotFoundError:
        return False
