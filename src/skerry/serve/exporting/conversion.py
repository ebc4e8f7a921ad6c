"""The conversion of a scikit-learn estimator by skl2onnx, with the options that make it faithful."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError
from skerry.serve.exporting.mending import mend_converters, without_flattening
from skerry.serve.publishing_session import explain

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# Old enough for every ONNX Runtime that we support, and the newest of which skl2onnx knows all converters.
TARGET_OPSET: Mapping[str, int] = {"": 18, "ai.onnx.ml": 3}
_TREES = frozenset(
    {
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeClassifier",
        "ExtraTreeRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "IsolationForest",
        "RandomForestClassifier",
        "RandomForestRegressor",
    }
)
_WIDE_TREES = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})
_DEFAULT_PATTERN = r"(?u)\b\w\w+\b"
# The same in RE2's words, whose \w is ASCII only. skl2onnx takes words of one ASCII letter unless told.
_SAME_PATTERN = r"[\pL\pN_]{2,}"
# Part of the C library, where ONNX Runtime's en_US.UTF-8 is missing on most small systems; lower case of all scripts.
_LOCALE = "C.UTF-8"


def is_tree(estimator: Any) -> bool:
    """Return whether an estimator compares single-precision features with thresholds."""
    return type(estimator).__name__ in _TREES


def is_wide_tree(estimator: Any) -> bool:
    """Return whether an estimator compares double-precision features with thresholds."""
    return type(estimator).__name__ in _WIDE_TREES


def input_type(array: Array) -> int:
    """Return the element type of an array as ``onnx.TensorProto`` numbers it."""
    from onnx import TensorProto

    return {
        "float32": int(TensorProto.FLOAT),
        "float64": int(TensorProto.DOUBLE),
        "int64": int(TensorProto.INT64),
        "bool": int(TensorProto.BOOL),
    }.get(array.dtype.name, int(TensorProto.STRING))


def convert(model: Any, name: str, array: Array, *, is_wide: bool) -> Any:
    """Return the ``onnx.ModelProto`` of an estimator.

    Args:
        model: The fitted estimator.
        name: The graph's input.
        array: The sample.
        is_wide: Whether the graph takes and computes in double precision.

    Raises:
        ModelRejectedError: skl2onnx does not know a part of it; in the library's own words.
    """
    import skl2onnx

    shape = [None] if array.ndim == 1 else [None, array.shape[1]]
    initial_types = [(name, _type(array, shape, is_wide=is_wide))]
    for part in _parts(model):
        if callable(getattr(part, "analyzer", None)) or callable(getattr(part, "tokenizer", None)):
            raise ModelRejectedError(
                f"{type(part).__name__} splits texts with a Python function, which no graph can hold: use token_pattern"
            )
    mend_converters()
    model = without_flattening(model)
    final = _with_rounding(model) if is_wide else model
    refusal: Exception = NameError("no options fit")
    for part, own in _options(final):
        options = {**_vectorizer_options(model), **({id(part): own} if own else {})}
        try:
            with warnings.catch_warnings():
                # skl2onnx reads two attributes of SVC that scikit-learn 1.9 deprecates.
                warnings.filterwarnings(
                    "ignore", message="Attribute `prob[AB]_` was deprecated", category=FutureWarning
                )
                return skl2onnx.to_onnx(
                    final, initial_types=initial_types, options=options or None, target_opset=dict(TARGET_OPSET)
                )
        except NameError as error:
            refusal = error  # an option that this estimator does not have
        except Exception as error:  # skl2onnx has no class for its refusals
            refusal = error
            break
    raise ModelRejectedError(f"{type(model).__name__} cannot be exported by skl2onnx: {explain(refusal)}") from refusal


def _type(array: Array, shape: list[int | None], *, is_wide: bool) -> Any:
    from skl2onnx.common import data_types

    names = {
        "float32": "FloatTensorType",
        "float64": "DoubleTensorType",
        "int64": "Int64TensorType",
        "bool": "BooleanTensorType",
    }
    chosen = "DoubleTensorType" if is_wide else names.get(array.dtype.name, "StringTensorType")
    return getattr(data_types, chosen)(shape)


def _with_rounding(model: Any) -> Any:
    """Return the model with a step that rounds to single precision before trees; the fitted parts are the same."""
    import numpy as np
    from skl2onnx.sklapi import CastTransformer
    from sklearn.pipeline import Pipeline

    steps = list(getattr(model, "steps", ()))
    if not steps or not is_tree(steps[-1][1]):
        return model
    return Pipeline([*steps[:-1], ("skerry-rounding", CastTransformer(dtype=np.float32)), steps[-1]])


def _options(model: Any) -> list[tuple[Any, dict[str, Any] | None]]:
    """Return the options to try, and for which part, best first: not every converter has each of them."""
    from sklearn.base import is_classifier

    if not is_classifier(model):
        return [(model, None)]
    if hasattr(model, "predict_proba"):
        return [(model, {"zipmap": False}), (model, None)]
    tried = [{"zipmap": False, "raw_scores": True}, {"raw_scores": True}, {"zipmap": False}, None]
    # Told for a pipeline, LinearSVC in it is given an option besides that it does not have.
    return [*((model, one) for one in tried), (_last(model), {"raw_scores": True})]


def _last(model: Any) -> Any:
    steps = getattr(model, "steps", None)
    return _last(steps[-1][1]) if steps else model


def _vectorizer_options(model: Any) -> dict[int, dict[str, Any]]:
    found = {}
    for part in _parts(model):
        if getattr(part, "analyzer", None) == "word" and hasattr(part, "token_pattern"):
            same = {"tokenexp": _SAME_PATTERN} if part.token_pattern == _DEFAULT_PATTERN else {}
            found[id(part)] = {"locale": _LOCALE, **same}
    return found


def _parts(model: Any) -> Iterator[Any]:
    """Yield an estimator and those inside it."""
    yield model
    inner = [
        *getattr(model, "steps", ()),
        *getattr(model, "transformer_list", ()),
        *getattr(model, "transformers_", ()),
    ]
    for _, part, *_ in inner:
        if hasattr(part, "get_params"):
            yield from _parts(part)
