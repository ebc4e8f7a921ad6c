"""How good the outputs of a model are: against what is right, or against what the original gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import DataError
from skerry.serve.checking.facts import CLASSIFIER, REGRESSOR
from skerry.store.models import Manifest

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

ACCURACY, AGREEMENT, R2 = "accuracy", "agreement", "r2"


def choose_score(manifest: Manifest, targets: Array | None, outputs: Mapping[str, Array]) -> str:
    """Return which score suits a model and data.

    ``accuracy``: the part of rows with the right label. ``agreement``: the part with the label that the original gives,
    where nobody knows the right one. ``r2``: the coefficient of determination of numbers, against the targets or
    against what the original gives.
    """
    if manifest.kind == CLASSIFIER:
        return AGREEMENT if targets is None else ACCURACY
    if manifest.kind == REGRESSOR or targets is None or _scores(outputs) is None:
        return R2
    return ACCURACY if targets.dtype.kind in "iuUSOb" else R2


def rate(
    kind: str,
    outputs: Mapping[str, Array],
    original: Mapping[str, Array],
    targets: Array | None,
    labels: tuple[str, ...] | None,
) -> float:
    """Return a score of outputs, at most 1.

    Args:
        kind: Which score, from `choose_score`.
        outputs: What the model gives, by name.
        original: What the model that it was made from gives.
        targets: What is right; None where it is not known.
        labels: Names of the classes.

    Raises:
        DataError: the model gives nothing that can be compared with the targets.
    """
    import numpy as np

    if kind in (ACCURACY, AGREEMENT):
        right = predict_labels(original, labels) if targets is None else np.asarray(targets).astype(str)
        return float(np.mean(predict_labels(outputs, labels) == right))
    if targets is not None:
        return min(_determination(_numbers(array), targets) for array in list(outputs.values())[:1])
    # Without targets every output that holds numbers has to follow the original.
    rated = [_determination(array, original[name]) for name, array in outputs.items() if array.dtype.kind in "fiu"]
    if not rated:
        raise DataError("the model gives no numbers that can be compared with those of the original")
    return min(rated)


def predict_labels(outputs: Mapping[str, Array], labels: tuple[str, ...] | None) -> Array:
    """Return the label of each row as text: the model's own, or the class of the largest score.

    Raises:
        DataError: the outputs hold neither.
    """
    import numpy as np

    for array in outputs.values():
        if array.dtype.kind in "iuOUSb" and array.size == len(array):
            return array.reshape(-1).astype(str)
    scores = _scores(outputs)
    if scores is None:
        raise DataError("the model gives neither labels nor scores of classes: accuracy cannot be measured")
    best = np.argmax(scores, axis=1)
    named = labels is not None and len(labels) == scores.shape[1]
    found: Array = np.asarray(labels)[best] if named else best
    return found.astype(str)


def _scores(outputs: Mapping[str, Array]) -> Array | None:
    wide: list[Array] = [
        array for array in outputs.values() if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f"
    ]
    return wide[0] if wide else None


def _numbers(array: Array) -> Array:
    return array.reshape(len(array), -1)


def _determination(actual: Array, expected: Array) -> float:
    """Return the part of the variance of ``expected`` that ``actual`` accounts for; 1 where both are equal."""
    import numpy as np

    given, right = _numbers(actual).astype(np.float64), _numbers(expected).astype(np.float64)
    if given.shape != right.shape:
        raise DataError(f"the targets have the shape {list(right.shape)}, the model's output {list(given.shape)}")
    missed = float(np.sum((given - right) ** 2))
    spread = float(np.sum((right - right.mean(axis=0)) ** 2))
    if missed == 0.0:
        return 1.0
    return 1.0 - missed / spread if spread > 0.0 else 0.0
