"""Models in a store of objects: versions that never change, aliases that move, a history that says how.

::

    blobs/sha256/<hex>                      the content of files, named by its checksum
    models/NAME/versions/000000001          the manifest of a version
    models/NAME/history/000000001           what happened to the aliases

Contents are written first, then the manifest, which names them: a publisher that is killed leaves nothing that anybody
sees. Manifests and entries are written with put-if-absent, so their numbers are the order in which they came, for all
publishers on all machines, and nothing is ever written twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from skerry.errors import CorruptObjectError, ModelNotFoundError, ModelRejectedError, ObjectNotFoundError
from skerry.spec import ModelReference
from skerry.store.models.aliases import ModelAliases, stamp
from skerry.store.models.content import put_content
from skerry.store.models.draft import FileEntry, ManifestDraft
from skerry.store.models.garbage import GRACE_S, Garbage, collect
from skerry.store.models.history import HistoryEntry, deleted_error
from skerry.store.models.manifest import Manifest
from skerry.store.models.names import MODELS, NUMBER_LIMIT, check_name, is_name, number_of, numbered, versions_prefix
from skerry.store.objects import ObjectStore

KEPT_MANIFESTS = 256


class ModelRepository(ModelAliases):
    """The models of one store; safe for threads, and beside any number of other repositories on the same store.

    What was read of histories and manifests is kept in memory, as neither ever changes.

    Args:
        store: Where they are. A repository goes over a fork as little as its store does.

    Example:
        ::

            repository = ModelRepository(open_store("models"))
            manifest = repository.publish("digits", {"model.onnx": Path("model.onnx")}, ManifestDraft())
            repository.set_alias("digits", "production", manifest.version)
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self._manifests: dict[tuple[str, int], Manifest] = {}

    def publish(self, name: str, files: Mapping[str, Path | bytes], draft: ManifestDraft) -> Manifest:
        """Write the next version of a model.

        Args:
            name: Lower-case letters, digits, - and _, a letter first, no - or _ last, at most 63.
            files: By relative POSIX path, the content or where it lies; at most 1,000, and no pickles.
            draft: What to say of it.

        Returns:
            The new version's manifest. No alias points at it yet.

        Raises:
            ModelRejectedError: a name, a file or a field of the draft is not allowed.
            StorageError: the store failed; nothing was published, or, if the connection broke at the very end, all.
        """
        check_name(name)
        # Sealed once before anything is written, so that a wrong name or draft costs nothing.
        unknown = dict.fromkeys(files, FileEntry(0, "0" * 64))
        Manifest.seal(draft, name=name, version=1, created_at=time.time(), files=unknown)
        entries = put_content(self.store, name, files)
        number = max(self._numbers(name), default=0)
        while True:
            number += 1
            if number > NUMBER_LIMIT:
                raise ModelRejectedError(f"model {name}: no numbers are left")
            manifest = Manifest.seal(draft, name=name, version=number, created_at=time.time(), files=entries)
            key, content = numbered(versions_prefix(name), number), manifest.to_json()
            # Absent, or a connection lost the answer to our own write, and the store's client tried it again.
            if self.store.put_if_absent(key, content) or self.store.get(key) == content:
                return manifest

    def names(self) -> list[str]:
        """Return the models that have a version, by name."""
        found = dict.fromkeys(name for name, _ in self._all_numbers())
        return [name for name in found if self.versions(name)]

    def versions(self, name: str) -> list[int]:
        """Return the numbers of a model's versions that are not deleted, lowest first; none where there is no model."""
        if not is_name(name):
            return []
        numbers = self._numbers(name)
        deleted = self._table(name).deleted if numbers else {}
        return [number for number in numbers if number not in deleted]

    def manifest(self, name: str, version: int) -> Manifest:
        """Return the manifest of a version.

        Raises:
            ModelNotFoundError: there is no such version, or it was deleted.
            CorruptObjectError: the store holds something else there.
        """
        deleted = self._table(name).deleted.get(version)
        if deleted is not None:
            raise ModelNotFoundError(f"model {name}: {deleted_error(deleted).message}")
        return self._manifest(name, version)

    def resolve(self, reference: ModelReference) -> Manifest:
        """Return the manifest of the version that a reference means now.

        Raises:
            ModelNotFoundError: there is no such version, or the alias points nowhere.
        """
        if reference.version is not None:
            return self.manifest(reference.name, reference.version)
        aliases = self.aliases(reference.name)
        version = aliases.get(str(reference.alias))
        if version is None:
            there = ", ".join(f"{alias} ({number})" for alias, number in sorted(aliases.items())) or "none"
            raise ModelNotFoundError(
                f"model {reference.name!r} has no alias {reference.alias!r}; its aliases are: {there}; "
                f"{self._versions_told(reference.name)}"
            )
        return self._manifest(reference.name, version)

    def delete(self, name: str, version: int, *, reason: str = "") -> HistoryEntry:
        """Delete a version; its number is not used again, and its content goes with the next collection of garbage.

        Raises:
            ModelNotFoundError: there is no such version.
            ModelInUseError: an alias points at it.
        """
        said = stamp(reason)
        self.manifest(name, version)
        return self._append(name, lambda table, number: table.delete(number, version, said))

    def collect_garbage(self, *, grace_s: float = GRACE_S) -> Garbage:
        """Remove the content that no version names any more.

        Args:
            grace_s: Content younger than this stays, as its publisher may be about to write the manifest.

        Raises:
            CorruptObjectError: a manifest cannot be read, so that nobody knows what it names; nothing was removed.
        """
        return collect(self.store, self._live_manifests(), grace_s=grace_s)

    def _versions_told(self, name: str) -> str:
        if self._numbers(name):
            return f"its versions: {', '.join(map(str, self.versions(name))) or 'none'}"
        return f"nothing was pushed under this name; there are: {', '.join(self.names()) or 'none'}"

    def _numbers(self, name: str) -> list[int]:
        keys = (number_of(info.key) for info in self.store.list(versions_prefix(name)))
        return [number for number in keys if number is not None]

    def _all_numbers(self) -> Iterator[tuple[str, int]]:
        for info in self.store.list(MODELS):
            name, _, rest = info.key.removeprefix(MODELS).partition("/")
            number = number_of(info.key)
            if rest.startswith("versions/") and number is not None and is_name(name):
                yield name, number

    def _live_manifests(self) -> Iterator[Manifest]:
        for name, number in self._all_numbers():
            if number not in self._table(name).deleted:
                yield self._manifest(name, number)

    def _manifest(self, name: str, version: int) -> Manifest:
        found = self._manifests.get((name, version))
        if found is None:
            found = self._read_manifest(name, version)
            with self._lock:
                while len(self._manifests) >= KEPT_MANIFESTS:
                    del self._manifests[next(iter(self._manifests))]
                self._manifests[name, version] = found
        return found

    def _read_manifest(self, name: str, version: int) -> Manifest:
        key = numbered(versions_prefix(check_name(name)), version)
        try:
            if not 1 <= version <= NUMBER_LIMIT:
                raise ObjectNotFoundError(key)
            manifest = Manifest.from_json(self.store.get(key))
        except ObjectNotFoundError:
            there = ", ".join(map(str, self.versions(name)))
            what = f"version {version}; there are: {there}" if there else "versions: push one with `skerry models push`"
            raise ModelNotFoundError(f"model {name!r} has no {what}") from None
        except ModelRejectedError as error:
            raise CorruptObjectError(
                f"{key}: {error.message}; delete the version, or restore it from a copy"
            ) from error
        if (manifest.name, manifest.version) != (name, version):
            raise CorruptObjectError(f"{key}: it is the manifest of {manifest}; restore it from a copy")
        return manifest
