"""Ways to make an ONNX model smaller or faster; each reads one file and writes another."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError, SpecError
from skerry.serve.optimising.data import EvaluationData
from skerry.serve.optimising.pruning import prune_model
from skerry.serve.publishing_session import explain, open_session

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CALIBRATION_ROWS = 256
_BATCH_ROWS = 32
# Convolutions are left alone by the dynamic method: their dynamic form is slower than the original on most processors.
_DYNAMIC_OPERATORS = ("MatMul", "Gemm", "Gather", "LSTM", "Attention", "EmbedLayerNormalization")

Method = Callable[[Path, Path, EvaluationData, float], None]


def apply_method(method: str, source: Path, target: Path, data: EvaluationData, *, ratio: float) -> None:
    """Write the optimised form of a model.

    Args:
        method: One of `METHODS`.
        source: The model's ONNX file.
        target: Where to write.
        data: Rows to calibrate with.
        ratio: For ``prune``: which part of the weights becomes zero, above 0 and below 1.

    Raises:
        SpecError: there is no such method, or the ratio is out of range.
        ModelRejectedError: the method cannot be applied to this model, or finds nothing in it to change.
    """
    chosen = METHODS.get(method)
    if chosen is None:
        raise SpecError(f"method {method!r}: use one of {', '.join(METHODS)}", field="method")
    if not 0 < ratio < 1:
        raise SpecError(f"ratio {ratio}: the part of weights to prune lies between 0 and 1", field="ratio")
    try:
        with _silence():
            chosen(source, target, data, ratio)
    except ModelRejectedError:
        raise
    except Exception as error:  # what the tools of onnxruntime raise has no common class
        raise ModelRejectedError(f"{method} cannot be applied to this model: {explain(error)}") from error


def _graph(source: Path, target: Path, _: EvaluationData, __: float) -> None:
    """Have ONNX Runtime fold constants and fuse nodes once, instead of at each load."""
    # Beyond "extended" the layout of weights is that of one kind of processor.
    open_session(source, save_to=target, level="extended")


def _float16(source: Path, target: Path, _: EvaluationData, __: float) -> None:
    """Store and use weights in half precision; inputs and outputs stay as they are."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(str(source))
    _require(any(tensor.data_type == tensor.FLOAT for tensor in model.graph.initializer), "float16", "float32 weights")
    onnx.save(convert_float_to_float16(model, keep_io_types=True), str(target))


def _int8_dynamic(source: Path, target: Path, _: EvaluationData, __: float) -> None:
    """Store weights of matrix products in 8 bits; activations are quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    _require_operators(source, "int8-dynamic", _DYNAMIC_OPERATORS)
    quantize_dynamic(
        str(source),
        str(target),
        op_types_to_quantize=list(_DYNAMIC_OPERATORS),
        per_channel=True,
        # Products of 8 and 8 bits overflow the 16 of older processors; with 7 the results are the same on all.
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )
    _require_int8(target, "int8-dynamic")


def _int8_static(source: Path, target: Path, data: EvaluationData, _: float) -> None:
    """Store weights in 8 bits, and compute in them with ranges of activations that were seen on the data."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    _require_operators(source, "int8-static", ("Conv", *_DYNAMIC_OPERATORS))
    quantize_static(
        str(source),
        str(target),
        _Reader(data),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    _require_int8(target, "int8-static")


def _prune(source: Path, target: Path, _: EvaluationData, ratio: float) -> None:
    import onnx

    model = onnx.load(str(source))
    _require(prune_model(model, ratio), "prune", "matrices of weights that are large enough")
    onnx.save(model, str(target))


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "graph": _graph,
        "float16": _float16,
        "int8-dynamic": _int8_dynamic,
        "int8-static": _int8_static,
        "prune": _prune,
    }
)


class _Reader:
    """Rows of the data in batches, as ``onnxruntime.quantization`` reads them."""

    def __init__(self, data: EvaluationData) -> None:
        rows = min(len(data), CALIBRATION_ROWS)
        self._batches = iter(
            {name: array[start : min(start + _BATCH_ROWS, rows)] for name, array in data.feeds.items()}
            for start in range(0, rows, _BATCH_ROWS)
        )

    def get_next(self) -> dict[str, Array] | None:
        """Return the next batch, or None after the last."""
        return next(self._batches, None)


def _require_operators(file: Path, method: str, operators: Sequence[str]) -> None:
    import onnx

    found = {node.op_type for node in onnx.load(str(file), load_external_data=False).graph.node}
    _require(bool(found.intersection(operators)), method, f"{', '.join(operators[:3])} or the like")


def _require_int8(file: Path, method: str) -> None:
    import onnx

    kinds = {tensor.data_type for tensor in onnx.load(str(file)).graph.initializer}
    _require(
        bool(kinds & {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}), method, "weights that can be stored in 8 bits"
    )


def _require(found: bool, method: str, what: str) -> None:
    if not found:
        raise ModelRejectedError(f"{method} finds nothing to change: the model has no {what}")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep from the user what the tools log about steps that this module takes or leaves out on purpose."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
