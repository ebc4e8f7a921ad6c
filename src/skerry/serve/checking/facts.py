"""What an inspection finds out about a model, as a value and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skerry.store.models import TensorSpec

CLASSIFIER, REGRESSOR, OTHER = KINDS = ("classifier", "regressor", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is true of a model that was not refused.

    Args:
        inputs: What it takes, in the order of the graph.
        outputs: What it gives, in the order of the graph.
        opsets: Version of each set of operators that it uses, by domain; the ONNX operators' domain is ``ai.onnx``.
        ir_version: Version of the file format.
        producer: What wrote the file, such as ``skl2onnx 1.20.0``; empty when it does not say.
        kind: ``classifier``, ``regressor`` or ``other``.
        labels: Names of the classes in the order of the probabilities, when the graph has them.
        external_files: Files beside the model that hold weights, as POSIX paths relative to its folder.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opsets: Mapping[str, int]
    ir_version: int
    producer: str
    kind: str
    labels: tuple[str, ...] | None
    external_files: tuple[str, ...]

    @property
    def opset(self) -> int:
        """Version of the ONNX operators; 0 when the model uses none of them."""
        return self.opsets.get("ai.onnx", 0)

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return {
            "inputs": [_plain(tensor) for tensor in self.inputs],
            "outputs": [_plain(tensor) for tensor in self.outputs],
            "opsets": dict(self.opsets),
            "ir_version": self.ir_version,
            "producer": self.producer,
            "kind": self.kind,
            "labels": None if self.labels is None else list(self.labels),
            "external_files": list(self.external_files),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelFacts:
        """Return the facts that `to_json` wrote.

        Raises:
            KeyError: a member is missing.
            TypeError: a member is of the wrong type.
            ValueError: a member is out of range.
        """
        labels = value["labels"]
        if value["kind"] not in KINDS:
            raise ValueError(f"kind {value['kind']!r}")
        return cls(
            inputs=tuple(map(_tensor, value["inputs"])),
            outputs=tuple(map(_tensor, value["outputs"])),
            opsets={str(domain): int(version) for domain, version in value["opsets"].items()},
            ir_version=int(value["ir_version"]),
            producer=str(value["producer"]),
            kind=value["kind"],
            labels=None if labels is None else tuple(map(str, labels)),
            external_files=tuple(map(str, value["external_files"])),
        )


def _plain(tensor: TensorSpec) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}


def _tensor(value: Mapping[str, Any]) -> TensorSpec:
    shape = tuple(None if length is None else int(length) for length in value["shape"])
    return TensorSpec(name=str(value["name"]), dtype=str(value["dtype"]), shape=shape)
