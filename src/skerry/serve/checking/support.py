"""What the ONNX Runtime of this process can open: versions of the format, of the operators, and their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from skerry.errors import SkerryError
from skerry.serve.model_session import silence_telemetry

ONNX_DOMAIN = "ai.onnx"
ML_DOMAIN = "ai.onnx.ml"
_FAR_TOO_NEW = 1_000_000
_OPSET = re.compile(r"is till opset (\d+)")
_IR = re.compile(r"max supported IR version: (\d+)")


def require_libraries() -> None:
    """Make sure that models can be read and run.

    Raises:
        SkerryError: a library is missing.
    """
    silence_telemetry()
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        missing = error.name or "onnx"
        raise SkerryError(f'models need {missing}, which is not installed: pip install "skerry[serve]"') from error
    del onnx, onnxruntime


def name_domain(domain: str) -> str:
    """Return a domain's name as people write it: the empty one is that of ONNX itself."""
    return domain or ONNX_DOMAIN


@cache
def known_operators() -> Mapping[str, frozenset[str]]:
    """Return the names of the operators that this ONNX Runtime has, by domain."""
    from onnxruntime.capi import _pybind_state

    found: dict[str, set[str]] = {}
    for schema in _pybind_state.get_all_operator_schema():
        found.setdefault(name_domain(schema.domain), set()).add(schema.name)
    return {domain: frozenset(names) for domain, names in found.items()}


@cache
def newest_opset(domain: str) -> int | None:
    """Return the newest version of a domain's operators that this ONNX Runtime supports; None when it does not say.

    It has no function that tells; it is shown a harmless model that is far too new, and its complaint has the number.
    """
    opsets = {ONNX_DOMAIN: 17, domain: _FAR_TOO_NEW}
    found = _OPSET.search(_complaint(opsets=opsets, ir_version=8))
    return int(found[1]) if found else None


@cache
def newest_ir() -> int | None:
    """Return the newest version of the file format that this ONNX Runtime supports; None when it does not say."""
    found = _IR.search(_complaint(opsets={ONNX_DOMAIN: 17}, ir_version=_FAR_TOO_NEW))
    return int(found[1]) if found else None


def _complaint(*, opsets: Mapping[str, int], ir_version: int) -> str:
    import onnxruntime
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", ends[:1], ends[1:])
    imports = [
        helper.make_opsetid("" if domain == ONNX_DOMAIN else domain, version) for domain, version in opsets.items()
    ]
    model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of its errors are not public
        return str(error)
    return ""
