"""What a version is: its files by content, what goes in and out, and where it came from; frozen, strictly read.

A manifest comes from a store that others may write to, so nothing in it is believed: every field has a type and a
bound, unknown fields are refused, and `digest`, the checksum of everything else in its one spelling, has to fit.
Whoever makes a manifest goes through the reader too, so that there is one place that says what is allowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skerry.store.models.draft import FileEntry, ManifestDraft, TensorSpec
from skerry.store.models.fields import canonical_json, mapping, members, number, parse_json, plain, refusal
from skerry.store.models.reading import FIELDS

FORMAT = 1
MANIFEST_LIMIT_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(ManifestDraft):
    """One version of a model, as it was published: never changed afterwards.

    Args:
        name: The model.
        version: Its number, from 1.
        digest: ``sha256:`` and the checksum of everything else here, in canonical JSON.
        created_at: When it was published, Unix seconds.
        files: Its files by their relative POSIX paths.
    """

    name: str
    version: int
    digest: str
    created_at: float
    files: Mapping[str, FileEntry]

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def size_bytes(self) -> int:
        """The length of all files together."""
        return sum(entry.size_bytes for entry in self.files.values())

    def to_json(self) -> bytes:
        """Return the manifest in its one spelling: canonical JSON."""
        document = _document(self, self.name, self.version, self.created_at, self.files)
        return canonical_json({**document, "digest": self.digest}, f"manifest of {self}")

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Return the manifest that bytes hold.

        Raises:
            ModelRejectedError: they hold none, or one that was changed after it was published.
        """
        manifest = _read(parse_json(data, "manifest", limit_bytes=MANIFEST_LIMIT_BYTES))
        if manifest.digest != _digest(manifest):
            raise refusal(f"manifest of {manifest}", "its digest does not fit: it was changed after it was published")
        return manifest

    @classmethod
    def seal(
        cls, draft: ManifestDraft, *, name: str, version: int, created_at: float, files: Mapping[str, FileEntry]
    ) -> Manifest:
        """Return what a publisher says as the manifest of a version.

        Raises:
            ModelRejectedError: a field is wrong; the message names it.
        """
        where = f"manifest of {name}@{version}"
        plain(draft.about, f"{where}: about")
        document = _document(draft, name, version, created_at, files)
        digest = "sha256:" + hashlib.sha256(canonical_json(_normal(document), where)).hexdigest()
        return cls.from_json(canonical_json({**document, "digest": digest}, where))


def _document(
    draft: ManifestDraft, name: str, version: int, created_at: float, files: Mapping[str, FileEntry]
) -> dict[str, Any]:
    """Return everything but the digest as JSON has it."""
    return {
        "format": FORMAT,
        "name": name,
        "version": version,
        "created_at": created_at,
        "framework": draft.framework,
        "kind": draft.kind,
        "inputs": [_tensor_document(tensor) for tensor in draft.inputs],
        "outputs": [_tensor_document(tensor) for tensor in draft.outputs],
        "files": {file: {"size_bytes": entry.size_bytes, "sha256": entry.sha256} for file, entry in files.items()},
        "labels": None if draft.labels is None else list(draft.labels),
        "metrics": dict(draft.metrics),
        "data_digest": draft.data_digest,
        "code_digest": draft.code_digest,
        "parent": draft.parent,
        "about": dict(draft.about),
    }


def _tensor_document(tensor: TensorSpec) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}


def _normal(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as its reader will have it: the digest of 1 and of 1.0 would differ."""
    metrics = {name: number(value, f"metrics.{name}") for name, value in document["metrics"].items()}
    return {**document, "metrics": metrics, "created_at": number(document["created_at"], "created_at")}


def _digest(manifest: Manifest) -> str:
    document = _document(manifest, manifest.name, manifest.version, manifest.created_at, manifest.files)
    return "sha256:" + hashlib.sha256(canonical_json(document, f"manifest of {manifest}")).hexdigest()


def _read(document: Any) -> Manifest:
    where = "manifest"
    if repr(mapping(document, where).get("format")) != str(FORMAT):  # neither true nor 1.0
        raise refusal(f"{where}: format", f"only format {FORMAT} is read; a newer Skerry may read it")
    value = members(document, where, [*FIELDS, "format"])
    return Manifest(**{name: read(value[name], f"{where}: {name}") for name, read in FIELDS.items()})
