"""Paper 003's network as an ONNX model, to be published and served like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.errors import SkerryError
from skerry.learn.federated.models.network import CLASSES, DEVIATION, LAYOUT, MEAN, SIDE

OPSET = 17
IR_VERSION = 8


def to_onnx(parameters: Mapping[str, NDArray[Any]]) -> Any:
    """Return the network as an ``onnx.ModelProto``.

    Its input ``images`` is uint8 of shape (rows, 28, 28), as in the files; its output ``probabilities`` is float32 of
    shape (rows, 10), as :func:`skerry.learn.federated.models.paper_cnn.predict` returns it.

    Args:
        parameters: As :func:`skerry.learn.federated.models.paper_cnn.start` returns them.

    Raises:
        DataError: the parameters have other names, shapes or dtypes.
        SkerryError: onnx is not installed.

    Example:
        ``repository.push("digits", to_onnx(parameters).SerializeToString(), ...)``
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise SkerryError('an ONNX model needs onnx: pip install "skerry[serve]"') from error
    arrays: dict[str, NDArray[Any]] = LAYOUT.split(LAYOUT.join(parameters))
    arrays["mean"] = np.array(MEAN, np.float32)
    arrays["deviation"] = np.array(DEVIATION, np.float32)
    arrays["channel"] = np.array([1], np.int64)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["scaled"]),
        helper.make_node("Unsqueeze", ["scaled", "channel"], ["conv0.out"]),
        *(node for number in (1, 2) for node in _convolution(helper, number)),
        helper.make_node("Flatten", ["conv2.out"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense1.weight", "dense1.bias"], ["dense1.sum"], transB=1),
        helper.make_node("Relu", ["dense1.sum"], ["dense1.out"]),
        helper.make_node("Gemm", ["dense1.out", "dense2.weight", "dense2.bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "paper_cnn",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["rows", SIDE, SIDE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", CLASSES])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _convolution(helper: Any, number: int) -> list[Any]:
    name = f"conv{number}"
    return [
        helper.make_node("Conv", [f"conv{number - 1}.out", f"{name}.weight", f"{name}.bias"], [f"{name}.sum"]),
        helper.make_node("Relu", [f"{name}.sum"], [f"{name}.rectified"]),
        helper.make_node("MaxPool", [f"{name}.rectified"], [f"{name}.out"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
