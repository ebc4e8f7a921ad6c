"""Which exporter a model needs, told from its classes without importing any library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skerry.errors import ModelRejectedError
from skerry.serve.exporting.estimator import export_sklearn
from skerry.serve.exporting.exported import ExportedModel
from skerry.serve.exporting.module import export_torch


def export(model: Any, sample: Any) -> ExportedModel:
    """Export a model to ONNX and compare it with the original on a sample.

    Args:
        model: A fitted scikit-learn estimator or pipeline, or a ``torch.nn.Module``.
        sample: Rows that the model takes: an array, a list of strings, or a mapping of input names to those.

    Raises:
        ModelRejectedError: it cannot be exported, or is not equal to the original afterwards.
        DataError: the sample is no sample.

    Example:
        ``export(pipeline, X[:100]).content``
    """
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(model).__mro__}
    if "torch.nn.modules.module.Module" in kinds:
        return export_torch(model, sample)
    if "sklearn.base.BaseEstimator" in kinds:
        return export_sklearn(model, sample)
    if isinstance(model, Mapping):
        raise ModelRejectedError(
            "a mapping, such as a state dict, is weights without the model; give the module itself"
        )
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    raise ModelRejectedError(
        f"{name} cannot be exported: only scikit-learn estimators and torch modules can; export it to ONNX with its "
        "own converter (such as onnxmltools or tf2onnx) and push the .onnx file"
    )
