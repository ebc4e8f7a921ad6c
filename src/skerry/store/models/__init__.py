"""Models: files by content with a manifest, versions that never change, aliases with a history, a local cache."""

from typing import TYPE_CHECKING

from skerry.store.models.draft import FileEntry, ManifestDraft, TensorSpec
from skerry.store.models.manifest import Manifest
from skerry.store.models.names import MANIFEST_FILE
from skerry.store.models.places import CACHE_VARIABLE, MODELS_VARIABLE, cache_folder, models_url, publishing_url
from skerry.store.models.reading import KINDS

if TYPE_CHECKING:
    from skerry.store.models.cache import Hold, ModelCache
    from skerry.store.models.eviction import Eviction
    from skerry.store.models.garbage import GRACE_S, Garbage
    from skerry.store.models.history import AliasTable, HistoryEntry, Stamp, fold
    from skerry.store.models.repository import ModelRepository

__all__ = [
    "CACHE_VARIABLE",
    "GRACE_S",
    "KINDS",
    "MANIFEST_FILE",
    "MODELS_VARIABLE",
    "AliasTable",
    "Eviction",
    "FileEntry",
    "Garbage",
    "HistoryEntry",
    "Hold",
    "Manifest",
    "ManifestDraft",
    "ModelCache",
    "ModelRepository",
    "Stamp",
    "TensorSpec",
    "cache_folder",
    "fold",
    "models_url",
    "publishing_url",
]

# A worker that reads the manifest of its own model is in the middle of a cold start, and needs none of these.
_LAZY = {
    "AliasTable": "skerry.store.models.history",
    "Eviction": "skerry.store.models.eviction",
    "GRACE_S": "skerry.store.models.garbage",
    "Garbage": "skerry.store.models.garbage",
    "HistoryEntry": "skerry.store.models.history",
    "Hold": "skerry.store.models.cache",
    "ModelCache": "skerry.store.models.cache",
    "ModelRepository": "skerry.store.models.repository",
    "Stamp": "skerry.store.models.history",
    "fold": "skerry.store.models.history",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
