"""Which events a filter takes: compiled once per trigger into a function. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Attributes = Mapping[str, str]
Matches = Callable[[Attributes], bool]


def compile_filter(dialect: Mapping[str, Any] | None) -> Matches:
    """Return the function that says whether an event with some attributes is wanted.

    Args:
        dialect: A checked condition, see :class:`skerry.spec.Filter`; none wants every event.

    Example:
        ``compile_filter({"prefix": {"type": "net."}})({"type": "net.flow"})`` is true.
    """
    if dialect is None:
        return lambda attributes: True
    ((kind, inner),) = dialect.items()
    if kind == "not":
        unwanted = compile_filter(inner)
        return lambda attributes: not unwanted(attributes)
    if kind in ("all", "any"):
        parts = tuple(compile_filter(part) for part in inner)
        join = all if kind == "all" else any
        return lambda attributes: join(part(attributes) for part in parts)
    return _compile_attributes(kind, tuple(inner.items()))


def _compile_attributes(kind: str, wanted: tuple[tuple[str, str], ...]) -> Matches:
    if kind == "exact":
        if len(wanted) == 1:
            ((name, text),) = wanted
            return lambda attributes: attributes.get(name) == text
        return lambda attributes: all(attributes.get(name) == text for name, text in wanted)
    if kind == "prefix":
        return lambda attributes: all(attributes.get(name, "").startswith(text) for name, text in wanted)
    return lambda attributes: all(attributes.get(name, "").endswith(text) for name, text in wanted)
