"""Models of scikit-learn and PyTorch as ONNX, each compared with the original before it counts."""

from skerry.serve.exporting.choice import export
from skerry.serve.exporting.estimator import export_sklearn
from skerry.serve.exporting.exported import ExportedModel
from skerry.serve.exporting.module import export_torch

__all__ = ["ExportedModel", "export", "export_sklearn", "export_torch"]
