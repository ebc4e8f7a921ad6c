"""The values that a manifest is made of, and what a publisher says of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model.

    Args:
        name: As the model calls it, at most 255 characters.
        dtype: The type of its elements.
        shape: The length of each dimension; None where any length fits.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a version.

    Args:
        size_bytes: Its length.
        sha256: The checksum of its content, 64 hexadecimal digits; its name in the store.
    """

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestDraft:
    """What a publisher says of a model; the repository adds the name, the number, the time, the files, the digest.

    Args:
        framework: What opens it.
        kind: ``classifier``, ``regressor`` or ``other``.
        inputs: What goes in.
        outputs: What comes out.
        labels: Of a classifier: the word for each class, in the order of its probabilities.
        metrics: How good it is, by the metric's name.
        data_digest: What it was trained on.
        code_digest: What trained it.
        parent: The version of the same model that it was made from.
        about: Whatever else readers should know, as JSON carries it, nested at most 32 deep.
    """

    framework: str = "onnx"
    kind: str = "other"
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    labels: tuple[str, ...] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    data_digest: str | None = None
    code_digest: str | None = None
    parent: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
