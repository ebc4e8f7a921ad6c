"""Where the models of functions come from: the store, and this machine's cache. All of it may wait for a network."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from skerry.errors import ConfigError
from skerry.runtime.pinned_model import PinnedModel, mounted_model
from skerry.spec import DEFAULT_ALIAS, ModelReference
from skerry.store.models import MANIFEST_FILE, Manifest, ModelCache, ModelRepository, cache_folder, models_url
from skerry.store.objects import open_store

FOLDER_PERIOD_S = 0.25
REMOTE_PERIOD_S = 1.0


class ModelSource:
    """Finds and fetches models. Usable from any thread; not for an event loop's.

    Args:
        url: The store's, such as ``/home/ada/.skerry/models`` or ``s3://bucket/models``.
        cache: The folder of this machine's copies.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url
        self._cache = ModelCache(cache, limit_bytes=None)
        self._opening = threading.Lock()
        self._opened: ModelRepository | None = None

    @classmethod
    def default(cls, home_models: Path) -> ModelSource:
        """Return the store that ``SKERRY_MODELS`` names, else the given folder, with this user's cache."""
        return cls(models_url(home_models), cache_folder())

    @property
    def period_s(self) -> float:
        """How often it is worth looking whether an alias has moved, seconds."""
        is_folder = "://" not in self.url or self.url.startswith("file:")
        return FOLDER_PERIOD_S if is_folder else REMOTE_PERIOD_S

    def head(self, name: str) -> int:
        """Return the number of the newest entry in a model's history.

        Raises:
            ModelNotFoundError: there is no such model.
            StorageError: the store cannot be reached.
        """
        return self._repository().head(name)

    def resolve(self, reference: ModelReference) -> Manifest:
        """Return the version that a reference means at the moment.

        Raises:
            ModelNotFoundError: there is no such model, version or alias.
            StorageError: the store cannot be reached.
        """
        return self._repository().resolve(reference)

    def version(self, name: str, version: int) -> Manifest:
        """Return the manifest of a version.

        Raises:
            ModelNotFoundError: there is no such version.
            StorageError: the store cannot be reached.
        """
        return self._repository().manifest(name, version)

    def promote(self, reference: ModelReference, version: int, *, reason: str, expected: int) -> None:
        """Move an alias to a version that was tried beside the one that it means.

        Args:
            reference: The model and its alias.
            version: What it means from now on.
            reason: For the history.
            expected: What it means now.

        Raises:
            ModelInUseError: it means another version now.
            StorageError: the store cannot be written.
        """
        alias = reference.alias or DEFAULT_ALIAS
        self._repository().set_alias(reference.name, alias, version, action="promote", reason=reason, expected=expected)

    def fetch(self, manifest: Manifest) -> PinnedModel:
        """Return a version with its files on this machine; what the cache holds is not asked of the store.

        Raises:
            StorageError: the store cannot be reached.
            SkerryError: the files are gone, or are not what the manifest says.
        """
        try:
            repository = self._repository()
        except ConfigError:  # such as lost credentials: what is here already needs none
            folder = self._cache.path_of(manifest)
            if not (folder / MANIFEST_FILE).is_file():
                raise
        else:
            folder = self._cache.fetch(repository, manifest)
        return PinnedModel(name=manifest.name, version=manifest.version, folder=folder, manifest=manifest)

    def _repository(self) -> ModelRepository:
        with self._opening:
            if self._opened is None:
                self._opened = ModelRepository(open_store(self.url))
            return self._opened


def provide(reference: ModelReference, environment: Mapping[str, str]) -> PinnedModel:
    """Return a model for a process that nobody has given one: what is mounted, else what the store has now.

    Args:
        reference: What is asked for.
        environment: The process's variables.

    Raises:
        ModelNotFoundError: there is no such model, version or alias.
        StorageError: the store cannot be reached.
    """
    mounted = mounted_model(reference, environment)
    if mounted is not None:
        return mounted
    home = Path(environment.get("SKERRY_HOME") or "~/.skerry").expanduser()
    source = ModelSource.default(home / "models")
    return source.fetch(source.resolve(reference))
