"""Magnitude pruning: the smallest weights become zero.

The file keeps its size, for ONNX Runtime has dense weights only; what is saved is what compression and later steps make
of the zeros.
"""

from __future__ import annotations

from typing import Any

MIN_WEIGHTS = 64  # below this, every weight counts


def prune_model(model: Any, ratio: float) -> bool:
    """Set the smallest weights of every matrix of weights to zero, in place, and return whether there was one.

    Biases and scales, which extend in one dimension, are left alone.

    Args:
        model: The ``onnx.ModelProto``, all weights inside.
        ratio: Which part of each matrix becomes zero, above 0 and below 1.

    Source:
        Han, Pool, Tran, Dally: Learning both Weights and Connections for Efficient Neural Networks (2015).
    """
    import numpy as np
    from onnx import numpy_helper

    changed = False
    for tensor in model.graph.initializer:
        is_matrix = sum(length > 1 for length in tensor.dims) >= 2
        if tensor.data_type not in (tensor.FLOAT, tensor.DOUBLE, tensor.FLOAT16) or not is_matrix:
            continue
        weights = numpy_helper.to_array(tensor).copy()
        zeros = int(weights.size * ratio)
        if weights.size < MIN_WEIGHTS or zeros == 0:
            continue
        flat = weights.ravel()
        flat[np.argpartition(np.abs(flat), zeros - 1)[:zeros]] = 0
        tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
        changed = True
    return changed
