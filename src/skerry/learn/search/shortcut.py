"""Fits and predictions without checks that a search has made already, by the same compiled code on the same numbers.

A linear model on a fold of short texts trains in a millisecond, and scikit-learn then spends as long again finding out
that the matrix is a matrix. The shortcuts enter scikit-learn behind those checks; where anything is unusual (another
type, another option, another version that is built differently) they step aside.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEEDED = ("_allocate_parameter_mem", "_get_loss_function", "_fit_binary", "_more_validate_params", "_validate_params")


def fit(model: Any, features: Any, labels: NDArray[Any]) -> Any:
    """Fit a model; a two-class `SGDClassifier` on sparse rows takes the shortcut.

    Args:
        model: The unfitted estimator.
        features: Training rows; finite numbers when they are a matrix. They stay as they are.
        labels: Their labels, shape (rows,).

    Returns:
        The model, fitted exactly as ``model.fit`` does it.

    Source: scikit-learn 1.9, ``BaseSGDClassifier._fit`` and ``_partial_fit``.
    """
    import numpy as np
    from sklearn.linear_model import SGDClassifier

    classes = np.unique(labels) if type(model) is SGDClassifier and _is_plain_sparse(features) else ()
    if len(classes) != 2 or not _has_plain_options(model):
        # A copy, because some estimators sort or scale their input in place, and the fold's matrix is shared.
        return model.fit(features.copy(), labels)
    kind: Any = type(model)
    _validate_once(kind, tuple(sorted(vars(model).items())))
    model._more_validate_params()
    model.classes_ = classes
    model.n_features_in_ = features.shape[1]
    model._expanded_class_weight = np.ones(2)
    model._allocate_parameter_mem(n_classes=2, n_features=features.shape[1], input_dtype=features.dtype)
    model._loss_function_ = model._get_loss_function(model.loss)
    model.t_ = 1.0
    model._fit_binary(
        features,
        labels,
        alpha=model.alpha,
        sample_weight=np.ones(features.shape[0]),
        learning_rate=model.learning_rate,
        max_iter=model.max_iter,
    )
    return model


def predict(model: Any, features: Any) -> NDArray[Any]:
    """Return the labels that a fitted model predicts; a two-class linear model on sparse rows takes the shortcut.

    Args:
        model: The fitted estimator.
        features: Rows; finite numbers when they are a matrix. They stay as they are.

    Source: scikit-learn 1.9, ``LinearClassifierMixin.predict``.
    """
    from sklearn.linear_model._base import LinearClassifierMixin

    linear = getattr(type(model), "predict", None) is LinearClassifierMixin.predict
    if not linear or not _is_plain_sparse(features) or model.coef_.shape != (1, features.shape[1]):
        predicted: NDArray[Any] = model.predict(features.copy())
        return predicted
    scores = (features @ model.coef_.T + model.intercept_).reshape(-1)
    chosen: NDArray[Any] = model.classes_.take((scores > 0).astype(int))
    return chosen


def _is_plain_sparse(features: Any) -> bool:
    return (
        getattr(features, "format", None) == "csr"
        and features.dtype == "float64"
        and features.indices.dtype == "int32"
        and features.indptr.dtype == "int32"
    )


def _has_plain_options(model: Any) -> bool:
    unusual = (model.average, model.early_stopping, model.class_weight, model.warm_start)
    return not any(unusual) and all(hasattr(model, name) for name in _NEEDED)


@lru_cache(maxsize=256)
def _validate_once(cls: Any, parameters: tuple[tuple[str, Any], ...]) -> None:
    """Check a candidate's parameters as ``fit`` would, once instead of on every fold."""
    cls(**dict(parameters))._validate_params()
