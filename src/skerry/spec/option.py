"""What every option of a spec has in common: a help text, the platforms that honour it, and one check."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from skerry.errors import SpecError

ENGINE = "engine"
RUNTIME = "runtime"
KNATIVE = "knative"
KUBERNETES = "kubernetes"
PLATFORMS = (ENGINE, RUNTIME, KNATIVE, KUBERNETES)
CLUSTERS = (KNATIVE, KUBERNETES)
IN_CONTAINER = "done by the front and the worker in the container"
REFUSED = "refused when set"

PLAIN_WORDS = {
    str: 'text (a time or a size needs its unit, like "60s" or "200MiB")',
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}

T = TypeVar("T")


def option(  # one keyword per platform, so that none is forgotten
    help_text: str,
    *,
    engine: str | None = "done by the engine",
    runtime: str | None = IN_CONTAINER,
    knative: str | None = IN_CONTAINER,
    kubernetes: str | None = IN_CONTAINER,
    **field: Any,
) -> Any:
    """Return a dataclass field that carries its help text and what each platform makes of it.

    Args:
        help_text: What the option is.
        engine: What the engine makes of it; none where it does not honour it, on the other platforms likewise.
        runtime: What the bare runtime makes of it.
        knative: What becomes of it on Knative.
        kubernetes: What becomes of it on plain Kubernetes.
        **field: For `dataclasses.field`.
    """
    fates = dict(zip(PLATFORMS, (engine, runtime, knative, kubernetes), strict=True))
    honoured = frozenset(platform for platform, fate in fates.items() if fate is not None)
    # What a cluster does not honour is refused before anything is deployed; the runtime in the container meets every
    # option of the app, also those that the platform around it has taken care of.
    texts = {p: fate or ("left to what is around it" if p == RUNTIME else REFUSED) for p, fate in fates.items()}
    return dataclasses.field(metadata={"help": help_text, "platforms": honoured, "becomes": texts}, **field)


def build(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Return ``cls(**values)``, with unknown keys and wrong types refused by name.

    Args:
        cls: A spec dataclass whose fields come from :func:`option`.
        values: Option name to value, as a decorator, a file or a flag gave them.
        where: Where the values come from, for the message.

    Raises:
        SpecError: a key is unknown, or a value has a wrong type or is out of range.
    """
    known = {f.name for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]  # cls is a dataclass
    for key in values:
        if key not in known:
            raise SpecError(f"{where}: unknown option {key!r}; there are: {', '.join(sorted(known))}", field=key)
    try:
        return cls(**values)
    except SpecError as error:
        raise SpecError(f"{where}: {error.message}", **error.details) from error
    except TypeError as error:
        raise SpecError(f"{where}: {error}") from error


def check_types(spec: Any) -> None:
    """Raise `SpecError` when a field of the spec holds a value that its annotation does not allow."""
    cls: Any = type(spec)
    hints = _hints(cls)
    for field in dataclasses.fields(spec):
        if not field.init:
            continue
        value = getattr(spec, field.name)
        if typing.get_origin(hints[field.name]) is tuple and isinstance(value, list):
            value = tuple(value)  # a file and a record know lists only
            object.__setattr__(spec, field.name, value)
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError(f"{field.name} = {value}: must be a finite number", field=field.name)
        if hints[field.name] is float and type(value) is int:
            object.__setattr__(spec, field.name, float(value))  # so that 1 and 1.0 are the same option
        if not _fits(value, hints[field.name]):
            raise SpecError(
                f"{field.name} = {value!r}: expected {_describe(hints[field.name])}",
                field=field.name,
            )


def check_range(key: str, value: float, *, low: float, high: float | None = None) -> None:
    """Raise `SpecError` unless ``low <= value`` and, where there is a ``high``, ``value <= high``."""
    if value < low or (high is not None and value > high):
        allowed = f"at least {low:.10g}" if high is None else f"from {low:.10g} to {high:.10g}"
        raise SpecError(f"{key} = {value:.10g}: must be {allowed}", field=key)


def support_matrix(cls: type[Any]) -> dict[str, frozenset[str]]:
    """Return, for each option of a spec class, the platforms that honour it."""
    return {f.name: f.metadata["platforms"] for f in dataclasses.fields(cls) if f.init}


def fates(cls: type[Any]) -> dict[str, Mapping[str, str]]:
    """Return, for each option of a spec class, what each platform makes of it, in words."""
    return {f.name: f.metadata["becomes"] for f in dataclasses.fields(cls) if f.init}


@functools.cache  # evaluating the annotations takes milliseconds, and a spec is made for each function of each process
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(v, typing.get_args(hint)[0]) for v in value)
    if origin is not None:
        key, item = typing.get_args(hint)
        return isinstance(value, Mapping) and all(_fits(k, key) and _fits(v, item) for k, v in value.items())
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(v) for v in typing.get_args(hint))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_describe(part) for part in typing.get_args(hint) if part is not type(None))
    if origin is tuple:
        return "a list of texts"
    if origin is not None:
        return "a table of texts"
    return PLAIN_WORDS.get(hint, getattr(hint, "__name__", str(hint)) if origin is None else str(hint))
