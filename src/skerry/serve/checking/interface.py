"""What a model takes and gives, and what it is: read from its graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

from skerry.errors import ModelRejectedError
from skerry.serve.checking.facts import CLASSIFIER, OTHER, REGRESSOR
from skerry.serve.checking.graph import walk_nodes
from skerry.serve.checking.support import ML_DOMAIN
from skerry.serve.sample import TEXT
from skerry.store.models import TensorSpec

MOST_LABELS = 10_000
MOST_DECLARED_BYTES = 2**32
_CLASSIFIERS = frozenset({"LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier", "ZipMap"})
_REGRESSORS = frozenset({"LinearRegressor", "SVMRegressor", "TreeEnsembleRegressor"})
_LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")


def read_inputs(model: Any) -> tuple[TensorSpec, ...]:
    """Return what a caller has to give: the graph's inputs that no initializer fills.

    Raises:
        ModelRejectedError: an input is no tensor, of a type that no request can carry, or larger than any request.
    """
    filled = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_tensor(value, "input") for value in model.graph.input if value.name not in filled)
    for tensor in inputs:
        size_bytes = 4 * math.prod(length for length in tensor.shape if length is not None)
        if size_bytes > MOST_DECLARED_BYTES:
            raise ModelRejectedError(
                f"input {tensor.name!r} declares the shape {list(tensor.shape)}: one row of it is {size_bytes:,} "
                f"bytes, more than {MOST_DECLARED_BYTES:,}"
            )
    return inputs


def read_outputs(model: Any) -> tuple[TensorSpec, ...]:
    """Return what the graph gives.

    Raises:
        ModelRejectedError: an output is no tensor, or of a type that no answer can carry.
    """
    return tuple(_tensor(value, "output") for value in model.graph.output)


def read_kind(model: Any) -> tuple[str, tuple[str, ...] | None]:
    """Return what the model is, and the labels of its classes when the graph has them."""
    kind = OTHER
    for node in _ml_nodes(model):
        if node.op_type in _CLASSIFIERS:
            return CLASSIFIER, _labels(node)
        if node.op_type in _REGRESSORS:
            kind = REGRESSOR
    return kind, None


def has_shape(value: Any) -> bool:
    """Return whether the graph says how many dimensions an input or output has."""
    return bool(value.type.tensor_type.HasField("shape"))


def _ml_nodes(model: Any) -> Iterator[Any]:
    return (node for node, _ in walk_nodes(model) if node.domain == ML_DOMAIN)


def _labels(node: Any) -> tuple[str, ...] | None:
    for attribute in node.attribute:
        if attribute.name in _LABELS and 0 < len(values := attribute.strings or attribute.ints) <= MOST_LABELS:
            return tuple(value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values)
    return None


def _tensor(value: Any, side: str) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        way_out = ""
        if side == "output" and kind in ("sequence_type", "map_type"):
            way_out = "; export it with options={'zipmap': False}, or let skerry.serve.push export the model"
        found = "of no type" if kind is None else f"a {kind.removesuffix('_type').replace('_', ' ')}"
        raise ModelRejectedError(f"{side} {value.name!r} is {found}, not a tensor{way_out}")
    dtype = _names().get(value.type.tensor_type.elem_type)
    if dtype is None:
        raise ModelRejectedError(
            f"{side} {value.name!r} is of element type {value.type.tensor_type.elem_type}, which no request can "
            f"carry; it must be one of {', '.join(sorted(set(_names().values())))}: add a Cast to the graph"
        )
    return TensorSpec(name=value.name, dtype=dtype, shape=tuple(_lengths(value.type.tensor_type)))


def _lengths(tensor_type: Any) -> Iterator[int | None]:
    for dimension in tensor_type.shape.dim:
        fixed = dimension.WhichOneof("value") == "dim_value" and dimension.dim_value >= 0
        yield dimension.dim_value if fixed else None


@cache
def _names() -> dict[int, str]:
    """Return the names of element types as NumPy has them, by their numbers in ONNX."""
    from onnx import TensorProto

    same = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "BOOL", "FLOAT16")
    names = {TensorProto.DataType.Value(name): name.lower() for name in same}
    return {**names, TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.STRING: TEXT}
