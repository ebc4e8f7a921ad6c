"""Estimators as descriptions: import paths and JSON parameters instead of pickles.

A worker builds what the description says, and only from modules that it was told to trust.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from skerry.errors import DataError
from skerry.learn.search.families import translate
from skerry.learn.search.grid import from_plain, to_plain
from skerry.learn.search.messages import Model, Step

TRUSTED = ("sklearn.",)
"""Module prefixes whose estimator classes a worker builds unless it is told more."""


def describe(estimator: Any) -> Model:
    """Return the description of a scikit-learn pipeline or estimator.

    Only the parameters that differ from the class's defaults are written.

    Raises:
        DataError: a parameter cannot travel as JSON, a pipeline holds another pipeline, or caches with ``memory``.
    """
    from sklearn.pipeline import Pipeline

    if not isinstance(estimator, Pipeline):
        return Model(steps=(_describe_step("model", estimator),), pipeline=False)
    if estimator.memory is not None:
        raise DataError("model: a pipeline with memory=... writes pickles; leave it out, folds are cached here anyway")
    return Model(steps=tuple(_describe_step(name, step) for name, step in estimator.steps))


def _describe_step(name: str, estimator: Any) -> Step:
    cls = type(estimator)
    if not hasattr(estimator, "get_params") or hasattr(estimator, "steps"):
        raise DataError(f"model: step {name!r} is a {cls.__name__}; expected a plain scikit-learn estimator")
    defaults = cls().get_params(deep=False) if not _needs_arguments(cls) else {}
    parameters = {}
    for key, value in estimator.get_params(deep=False).items():
        default = defaults.get(key, _MISSING)
        if value is default or (type(value) is type(default) and bool(value == default)):
            continue
        parameters[key] = to_plain(value, f"model.{name}.{key}")
    return Step(name=name, path=f"{cls.__module__}.{cls.__qualname__}", parameters=parameters)


_MISSING = object()


def _needs_arguments(cls: type) -> bool:
    try:
        cls()
    except TypeError:
        return True
    return False


def build(model: Model, parameters: Mapping[str, Any], trusted: Sequence[str] = TRUSTED) -> Any:
    """Return the unfitted estimator of one candidate.

    Args:
        model: The description.
        parameters: The candidate's parameters, in real values (tuples as tuples).
        trusted: Module prefixes, each with its closing dot, from which classes may come.

    Raises:
        DataError: a class is not trusted or not there, or the estimator knows no such parameter.
    """
    from sklearn.pipeline import Pipeline

    own, others = _deal(model, translate(model.family, parameters, pipeline=model.pipeline))
    steps = [(step.name, _build_step(step, own[step.name], trusted)) for step in model.steps]
    estimator = Pipeline(steps) if model.pipeline else steps[-1][1]
    if not others:
        return estimator
    try:
        return estimator.set_params(**others)
    except (ValueError, AttributeError) as error:
        raise DataError(f"grid: {error}") from error


def _deal(model: Model, settings: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Deal a candidate's parameters out to the steps they belong to.

    A step built with its parameters costs far less than ``set_params`` on the pipeline, which first asks every step
    for all it has; what names no parameter of a step (a step to replace, a typing error) is left to ``set_params``.
    """
    own: dict[str, dict[str, Any]] = {step.name: {} for step in model.steps}
    others = {}
    for name, value in settings.items():
        step, found, parameter = name.partition("__") if model.pipeline else (model.steps[-1].name, "__", name)
        if found and step in own and "__" not in parameter:
            own[step][parameter] = value
        else:
            others[name] = value
    return own, others


def _build_step(step: Step, parameters: Mapping[str, Any], trusted: Sequence[str]) -> Any:
    cls = load_class(step.path, trusted)
    try:
        return cls(**{**from_plain(step.parameters), **parameters})
    except TypeError as error:
        raise DataError(f"grid: step {step.name!r} ({step.path}): {error}") from error


def load_class(path: str, trusted: Sequence[str] = TRUSTED) -> Any:
    """Return an estimator class by its import path.

    Raises:
        DataError: the path lies outside the trusted modules, or names no scikit-learn estimator class.
    """
    from sklearn.base import BaseEstimator

    if not path.startswith(tuple(trusted)):
        raise DataError(f"model: {path!r} lies outside the trusted modules ({', '.join(trusted)})")
    module, _, name = path.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(f"model: there is no class {path!r}: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, BaseEstimator)):
        raise DataError(f"model: {path!r} is not a scikit-learn estimator class")
    return cls
