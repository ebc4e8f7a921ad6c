"""ONNX Runtime sessions as publishing uses them: one thread, on the processor, silent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError
from skerry.serve.model_session import silence_telemetry

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MOST_WORDS = 600


def open_session(model: bytes | Path, *, save_to: Path | None = None, level: str = "all") -> Any:
    """Return an ``onnxruntime.InferenceSession`` with one thread.

    Args:
        model: The ONNX file, or its bytes.
        save_to: Where the optimised graph is written.
        level: How far the graph is optimised: ``none``, ``basic``, ``extended`` or ``all``.

    Raises:
        ModelRejectedError: ONNX Runtime cannot open it.
    """
    silence_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = {
        "none": levels.ORT_DISABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "all": levels.ORT_ENABLE_ALL,
    }[level]
    if save_to is not None:
        options.optimized_model_filepath = str(save_to)
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of its errors are not public
        raise ModelRejectedError(f"onnxruntime cannot open the model: {shorten(error)}") from error


def run_session(session: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Return what a session gives for named arrays, by the name of the output.

    Raises:
        ModelRejectedError: ONNX Runtime cannot run it.
    """
    names = [output.name for output in session.get_outputs()]
    try:
        results = session.run(names, dict(feeds))
    except Exception as error:  # the classes of its errors are not public
        raise ModelRejectedError(f"onnxruntime cannot run the model: {shorten(error)}") from error
    return dict(zip(names, results, strict=True))


def explain(error: BaseException) -> str:
    """Return the innermost cause of an error of another library in one line: its class and its first sentences."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])[:_MOST_WORDS]}"


def shorten(error: BaseException) -> str:
    """Return an error of another library as one line of a bearable length."""
    return " ".join(str(error).split())[:_MOST_WORDS]
