"""What skl2onnx's converters get wrong or refuse without need, mended around them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# Ensembles of trees say with it where missing values go: flags, which ONNX holds as integers.
_FLAGS = "nodes_missing_value_tracks_true"
_THRESHOLDS = "nodes_values"
# What an ensemble that computes in double precision has as a tensor: as a list, ONNX holds it in single precision.
_WIDE = (_THRESHOLDS, "base_values", "class_weights", "target_weights")
_WIDE_VERSION = 3  # of ai.onnx.ml, which brought these tensors
_HISTOGRAMS = ("SklearnHistGradientBoostingClassifier", "SklearnHistGradientBoostingRegressor")


@cache
def mend_converters() -> None:
    """Have histogram gradient boosting converted as scikit-learn computes it; done once per process.

    skl2onnx 1.20 gives ONNX booleans where it takes integers, which newer releases of protobuf refuse. And it rounds
    thresholds to single precision, to either side: what lies on one would take another branch than in scikit-learn.
    """
    from skl2onnx.common._registration import get_converter, register_converter

    for name in _HISTOGRAMS:
        known = get_converter(name)
        register_converter(name, _mended(known), overwrite=True, options=known.get_allowed_options())


def without_flattening(model: Any) -> Any:
    """Return a model whose voting, if it ends in that, is set to what skl2onnx converts; the fitted parts are the same.

    `flatten_transform` says in which shape ``transform`` answers, which no export has: predictions do not depend on it.
    """
    steps = getattr(model, "steps", None)
    if steps:
        name, last = steps[-1]
        mended = without_flattening(last)
        if mended is last:
            return model
        whole = copy.copy(model)
        whole.steps = [*steps[:-1], (name, mended)]
        return whole
    if type(model).__name__ != "VotingClassifier" or not model.flatten_transform:
        return model
    same = copy.copy(model)
    same.flatten_transform = False
    return same


class _Container:
    """A container of skl2onnx whose ensembles of trees get whole flags and exact thresholds.

    Args:
        inner: What holds the nodes.
        thresholds: Of all nodes of all trees, in their order.
        is_wide: Whether features come in double precision.
    """

    def __init__(self, inner: Any, thresholds: Array, *, is_wide: bool) -> None:
        self._inner = inner
        self._thresholds = thresholds
        self._is_wide = is_wide

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def add_node(self, *arguments: Any, **attributes: Any) -> None:
        """Add a node."""
        if _FLAGS in attributes:
            attributes[_FLAGS] = [int(flag) for flag in attributes[_FLAGS]]
            self._set_thresholds(attributes)
        self._inner.add_node(*arguments, **attributes)

    def _set_thresholds(self, attributes: dict[str, Any]) -> None:
        import numpy as np
        from onnx import numpy_helper

        if self._is_wide:
            attributes |= {_THRESHOLDS: self._thresholds, "op_version": _WIDE_VERSION}
            for name in _WIDE:
                if name in attributes:
                    values = np.asarray(attributes.pop(name), dtype=np.float64)
                    attributes[f"{name}_as_tensor"] = numpy_helper.from_array(values, f"{name}_as_tensor")
            return
        # A number of single precision is at most a threshold when it is at most the next such number below that.
        with np.errstate(over="ignore"):
            near = self._thresholds.astype(np.float32)
        attributes[_THRESHOLDS] = np.where(near > self._thresholds, np.nextafter(near, np.float32("-inf")), near)


def _mended(known: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        import numpy as np
        from skl2onnx.common.data_types import guess_numpy_type

        nodes = np.concatenate([tree.nodes for trees in operator.raw_operator._predictors for tree in trees])
        if nodes["is_categorical"].any():
            raise NotImplementedError(
                "it splits by sets of categories (categorical_features), which its graph has no words for: encode them "
                "before it, with OneHotEncoder"
            )
        thresholds = np.where(nodes["is_leaf"], 0.0, nodes["num_threshold"])
        is_wide = guess_numpy_type(operator.inputs[0].type) == np.float64
        known(scope, operator, _Container(container, thresholds, is_wide=is_wide))

    return convert
