"""Export of scikit-learn estimators with skl2onnx.

scikit-learn computes in double precision, and its trees compare single-precision features with thresholds. A graph
that computes in single precision throughout scales a feature to a number that may differ in the last bit, and where
that lies on a threshold the answer is another one. So there are two ways: as given, where the graph computes in the
sample's type; and wide, where it takes the sample's type, computes in double precision, and rounds before trees as
scikit-learn does. Pipelines that end in trees try the wide way first, and so does histogram gradient boosting, whose
trees compare in double precision. Both must agree with the original, which is then
given the same numbers in the same precision.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError, SkerryError
from skerry.serve.checking.facts import CLASSIFIER, OTHER, REGRESSOR
from skerry.serve.exporting.comparison import Difference, compare, require_equal
from skerry.serve.exporting.conversion import convert, input_type, is_tree, is_wide_tree
from skerry.serve.exporting.exported import ExportedModel
from skerry.serve.exporting.rewriting import declare_outputs, narrow_edges, negate_output, rename_outputs, strip_notes
from skerry.serve.publishing_session import open_session, run_session, shorten
from skerry.serve.rows import read_rows

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

AS_GIVEN, WIDE = "as given", "float64"
INPUT = "input"
# What the methods of an estimator are called as outputs.
_METHODS: Mapping[str, str] = {
    "predict_proba": "probabilities",
    "decision_function": "scores",
    "score_samples": "scores",
    "transform": "distances",
}


def export_sklearn(model: Any, sample: Any) -> ExportedModel:
    """Export a fitted scikit-learn estimator or pipeline, and compare it with the original.

    Classifiers give ``label`` and ``probabilities`` (or ``scores`` where they know no probabilities), regressors
    ``prediction``, transformers ``features``.

    Args:
        model: The estimator.
        sample: Rows as its ``predict`` takes them: an array of shape (n, d), or a list of n strings. The exported model
            takes their type: float32, float64, int64 (any integers) or text.

    Raises:
        ModelRejectedError: skl2onnx cannot export it, or the export is not equal to the original.
        DataError: the sample is no sample.
        SkerryError: skl2onnx is not installed.
    """
    _require_library()
    import sklearn
    from sklearn.base import is_classifier, is_regressor

    model = getattr(model, "best_estimator_", model)
    name, array = _read_sample(sample)
    what = type(model).__name__
    refusals = []
    for arithmetic in _ways(model, array):
        try:
            content, worst = _export(model, name, array, arithmetic)
        except ModelRejectedError as refusal:
            refusals.append(refusal)
            continue
        return ExportedModel(
            content=content,
            feeds={name: array},
            kind=CLASSIFIER if is_classifier(model) else REGRESSOR if is_regressor(model) else OTHER,
            labels=_labels(model) if is_classifier(model) else None,
            origin=f"scikit-learn {sklearn.__version__}",
            original=f"{type(model).__module__}.{what}",
            worst_difference=worst,
            arithmetic=arithmetic,
        )
    _require_fitted(model)
    # The way that suits the model best was the first: its refusal says most.
    raise refusals[0]


def _require_library() -> None:
    try:
        import skl2onnx
    except ImportError as error:
        raise SkerryError(
            f"export of scikit-learn models needs {error.name or 'skl2onnx'}, which is not installed: pip install "
            '"skerry[export]"'
        ) from error
    del skl2onnx


def _require_fitted(model: Any) -> None:
    """Refuse a model that was not trained; asked after a failure, as some models without anything to learn look so."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise ModelRejectedError(
            f"the estimator ({type(model).__name__}) is not fitted: call its fit before it is pushed"
        ) from error
    except TypeError:
        pass  # scikit-learn cannot tell of this one


def _read_sample(sample: Any) -> tuple[str, Array]:
    feeds = read_rows(sample, name=INPUT)
    if len(feeds) > 1:
        raise ModelRejectedError(
            f"the sample has {len(feeds)} named inputs ({', '.join(feeds)}); a scikit-learn model is exported with "
            "one: give the rows as one array"
        )
    name, array = next(iter(feeds.items()))
    if array.dtype.kind in "iu":
        array = array.astype("int64")
    elif array.dtype.kind == "f" and array.dtype.itemsize < 4:
        array = array.astype("float32")
    if array.dtype != object and array.ndim != 2:
        raise ModelRejectedError(f"the sample has {array.ndim} dimensions; scikit-learn takes rows and columns: (n, d)")
    return name, array


def _ways(model: Any, array: Array) -> tuple[str, ...]:
    if array.dtype == object:
        return (AS_GIVEN,)
    steps = getattr(model, "steps", None)
    last = steps[-1][1] if steps else None
    return (WIDE, AS_GIVEN) if is_tree(last) or is_wide_tree(last) else (AS_GIVEN, WIDE)


def _export(model: Any, name: str, array: Array, arithmetic: str) -> tuple[bytes, float]:
    """Return the ONNX file made in one of the ways, and its largest difference from the original."""
    what = f"{type(model).__name__} (arithmetic {arithmetic})"
    is_wide = arithmetic == WIDE
    inner = f"{name}_wide" if is_wide and array.dtype != "float64" else name
    exported = convert(model, inner, array, is_wide=is_wide)
    if inner != name:
        narrow_edges(exported, {inner: name}, input_type(array))
    strip_notes(exported)
    results = list(run_session(open_session(exported.SerializeToString()), {name: array}).items())
    reference = array.astype("float64") if is_wide and array.dtype.kind != "O" else array
    if _has_other_sign(model, reference, results):
        negate_output(exported, 1)
        results = list(run_session(open_session(exported.SerializeToString()), {name: array}).items())
    names, differences = {}, []
    for position, (output, actual) in enumerate(results):
        names[output], difference = _judge(model, reference, position, output, actual)
        differences.append(difference)
    worst = require_equal(what, differences)
    declare_outputs(exported, {output: actual.shape for output, actual in results})
    if len(set(names.values())) == len(names):
        rename_outputs(exported, names)
    return exported.SerializeToString(), worst


def _has_other_sign(model: Any, rows: Array, results: list[tuple[str, Array]]) -> bool:
    """Whether an export gives the scores of two classes the other way round, as skl2onnx does of SVC in pipelines."""
    if len(results) != 2 or hasattr(model, "predict_proba") or not hasattr(model, "decision_function"):
        return False
    output, actual = results[1]
    given, negated = (_judge(model, rows, 1, output, scores)[1] for scores in (actual, -actual))
    return negated.is_small and not given.is_small


def _judge(model: Any, rows: Array, position: int, output: str, actual: Array) -> tuple[str, Difference]:
    """Return a name for an output and its difference from the method of the original that it stands for."""
    tried = [(name, compare(name, expected, actual)) for name, expected in _references(model, rows, position, actual)]
    if not tried:
        return output, Difference(
            worst=float("inf"), words=f"output {output!r} is nothing that the original can be asked for"
        )
    return min(tried, key=lambda found: found[1].worst)


def _references(model: Any, rows: Array, position: int, actual: Array) -> Iterator[tuple[str, Array]]:
    from sklearn.base import is_regressor

    if position == 0:
        method = "predict" if hasattr(model, "predict") else "transform"
        name = "features" if method == "transform" else "prediction" if is_regressor(model) else "label"
        yield name, _ask(model, method, rows)
        return
    methods = ["predict_proba"] if hasattr(model, "predict_proba") else [m for m in _METHODS if hasattr(model, m)]
    for method in methods:
        expected = _ask(model, method, rows)
        if expected.ndim == 1 and actual.shape == (len(expected), 2):
            import numpy as np

            # Of two classes scikit-learn gives the score of the second alone.
            expected = np.stack([-expected, expected], axis=1)
        yield _METHODS[method], expected


def _ask(model: Any, method: str, rows: Array) -> Array:
    import numpy as np

    given = rows.tolist() if rows.dtype == object else rows
    try:
        with warnings.catch_warnings():
            # A model that was fitted on named columns is asked by position here, which is what the export does too.
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            result = getattr(model, method)(given)
    except Exception as error:  # whatever the original raises, it does not take its own sample
        raise ModelRejectedError(
            f"{type(model).__name__}.{method} fails on the sample: {type(error).__name__}: {shorten(error)}"
        ) from error
    return np.asarray(result.toarray() if hasattr(result, "toarray") else result)


def _labels(model: Any) -> tuple[str, ...] | None:
    classes = getattr(model, "classes_", None)
    if classes is None or isinstance(classes, list) or getattr(classes, "ndim", 1) != 1:
        return None
    return tuple(map(str, classes.tolist()))
