"""Export of PyTorch modules with ``torch.onnx.export``."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError, SkerryError
from skerry.serve.checking.facts import OTHER
from skerry.serve.exporting.comparison import compare, require_equal
from skerry.serve.exporting.exported import ExportedModel
from skerry.serve.exporting.rewriting import name_rows, strip_notes
from skerry.serve.publishing_session import explain, open_session, run_session, shorten
from skerry.serve.rows import read_rows

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

INPUT, OUTPUT = "input", "output"
# A length of 1 would be taken for a constant of the model.
TRACED_ROWS = 2


def export_torch(module: Any, sample: Any) -> ExportedModel:
    """Export a torch module with a free number of rows, and compare it with the original.

    The module is exported as it is for inference (``eval()``), with its weights inside the file; its mode is restored.

    Args:
        module: The ``torch.nn.Module``, on the CPU.
        sample: Rows as its ``forward`` takes them: an array with rows first, or a mapping of parameter names to arrays.

    Raises:
        ModelRejectedError: torch cannot export it, it is not free in the number of rows, or the export is not equal to
            the original.
        DataError: the sample is no sample.
        SkerryError: torch or onnxscript is not installed.
    """
    _require_library()
    import torch

    what = type(module).__name__
    _require_cpu(module)
    feeds = _read_sample(module, sample)
    with _inference(module):
        expected = _run(module, feeds)
        exported = _export(module, feeds, list(expected))
        strip_notes(exported)
        name_rows(exported)
        try:
            content = exported.SerializeToString()
        except ValueError as error:
            raise ModelRejectedError(f"{what}: over 2 GiB of weights do not fit into one ONNX file") from error
        session = open_session(content)
        worst = 0.0
        one = {name: array[:1] for name, array in feeds.items()}
        for rows, reference in ((feeds, expected), (one, _run(module, one))):
            results = run_session(session, rows)
            worst = max(worst, require_equal(what, [compare(key, reference[key], results[key]) for key in reference]))
    return ExportedModel(
        content=content,
        feeds=feeds,
        kind=OTHER,
        labels=None,
        origin=f"torch {torch.__version__}",
        original=f"{type(module).__module__}.{what}",
        worst_difference=worst,
        arithmetic="as given",
    )


def _require_library() -> None:
    try:
        import onnxscript
        import torch
    except ImportError as error:
        raise SkerryError(
            f"export of torch modules needs {error.name or 'torch'}, which is not installed: pip install "
            '"skerry[torch]"'
        ) from error
    del torch, onnxscript


def _require_cpu(module: Any) -> None:
    devices = {str(tensor.device) for tensor in [*module.parameters(), *module.buffers()]} - {"cpu"}
    if devices:
        raise ModelRejectedError(f"{type(module).__name__} is on {', '.join(sorted(devices))}; call .cpu() on it first")


def _read_sample(module: Any, sample: Any) -> dict[str, Array]:
    names = [
        parameter.name
        for parameter in inspect.signature(module.forward).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if not names:
        raise ModelRejectedError(f"{type(module).__name__}.forward has no named parameter; give its inputs names")
    feeds = read_rows(sample, name=names[0], text_name=names[0])
    unknown = [name for name in feeds if name not in names]
    if unknown:
        raise ModelRejectedError(
            f"{type(module).__name__}.forward has no parameter {unknown[0]!r}, only {', '.join(names)}"
        )
    weights = next((weight for weight in module.parameters() if weight.is_floating_point()), None)
    floating = "float32" if weights is None else str(weights.dtype).removeprefix("torch.")
    if any(array.dtype == object for array in feeds.values()):
        raise ModelRejectedError(f"{type(module).__name__}: a torch module takes numbers, and the sample has texts")
    # NumPy's numbers are double unless told, and torch does not mix precisions.
    wanted = floating if floating in ("float16", "float32", "float64") else "float32"
    return {name: array.astype(wanted) if array.dtype.kind == "f" else array for name, array in feeds.items()}


@contextlib.contextmanager
def _inference(module: Any) -> Iterator[None]:
    """Have a module, all its parts and torch's threads as inference wants them, and as they were afterwards."""
    import torch

    modes = [(part, part.training) for part in module.modules()]
    threads = torch.get_num_threads()
    module.eval()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        for part, mode in modes:
            part.training = mode


def _run(module: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Return what a module gives, by the name that the output gets in the graph."""
    import torch

    try:
        result = module(**{name: torch.from_numpy(array.copy()) for name, array in feeds.items()})
    except Exception as error:  # whatever the module raises, it does not take its own sample
        raise ModelRejectedError(
            f"{type(module).__name__} fails on the sample: {type(error).__name__}: {shorten(error)}"
        ) from error
    if isinstance(result, torch.Tensor):
        result = {OUTPUT: result}
    elif isinstance(result, list | tuple):
        result = {f"{OUTPUT}_{number}": tensor for number, tensor in enumerate(result)}
    if not isinstance(result, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in result.values()):
        raise ModelRejectedError(f"{type(module).__name__} must give a tensor, a tuple of tensors or a dict of tensors")
    return {str(name): tensor.detach().numpy() for name, tensor in result.items()}


def _export(module: Any, feeds: Mapping[str, Array], outputs: list[str]) -> Any:
    import torch

    few = {name: array[:TRACED_ROWS].repeat(TRACED_ROWS, axis=0)[:TRACED_ROWS] for name, array in feeds.items()}
    try:
        with _silence():
            program = torch.onnx.export(
                module,
                kwargs={name: torch.from_numpy(array) for name, array in few.items()},
                dynamo=True,
                dynamic_shapes={name: {0: torch.export.Dim.DYNAMIC} for name in few},
                input_names=list(few),
                output_names=outputs,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # its errors are of many classes, the cause is the innermost
        raise ModelRejectedError(
            f"{type(module).__name__} cannot be exported by torch.onnx: {explain(error)}; the number of rows must be "
            "free and the code must not depend on values"
        ) from error
    if program is None:
        raise ModelRejectedError(f"{type(module).__name__} cannot be exported by torch.onnx, which gives no reason")
    return program.model_proto


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep from the user what the exporter logs and warns about its own parts."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
            yield
    finally:
        logging.disable(disabled)
