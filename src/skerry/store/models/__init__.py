"""Models: files by content with a manifest, versions that never change, aliases with a history, a local cache."""

from skerry.store.models.cache import Hold, ModelCache
from skerry.store.models.draft import FileEntry, ManifestDraft, TensorSpec
from skerry.store.models.eviction import Eviction
from skerry.store.models.garbage import GRACE_S, Garbage
from skerry.store.models.history import AliasTable, HistoryEntry, Stamp, fold
from skerry.store.models.manifest import Manifest
from skerry.store.models.names import MANIFEST_FILE
from skerry.store.models.places import CACHE_VARIABLE, MODELS_VARIABLE, cache_folder, models_url
from skerry.store.models.reading import KINDS
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
]
