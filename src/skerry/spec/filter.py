"""Which events a trigger takes: Knative's dialects ``exact prefix suffix all any not``, as values to join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from skerry.errors import SpecError

OF_ATTRIBUTES: Final = ("exact", "prefix", "suffix")
OF_SEVERAL: Final = ("all", "any")
DEEPEST: Final = 10  # filters in filters; what is written by hand has two or three


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on the attributes of an event; an attribute that is missing fulfils none.

    Args:
        dialect: The condition as Knative's Trigger writes it, such as ``{"prefix": {"type": "net."}}``.

    Raises:
        SpecError: it is no such condition; the message says which part.

    Example:
        ``Filter.prefix(subject="port/") & ~Filter.exact(source="/lab")``

    Source: Knative Eventing, ``filters`` of a Trigger. Its CloudEvents SQL is not among them.
    """

    dialect: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check(self.dialect, depth=0)
        object.__setattr__(self, "dialect", MappingProxyType(dict(self.dialect)))

    @classmethod
    def exact(cls, **attributes: str) -> Filter:
        """Return what takes events whose attributes are these, all of them."""
        return cls({"exact": _written("exact", attributes)})

    @classmethod
    def prefix(cls, **attributes: str) -> Filter:
        """Return what takes events whose attributes begin so, all of them."""
        return cls({"prefix": _written("prefix", attributes)})

    @classmethod
    def suffix(cls, **attributes: str) -> Filter:
        """Return what takes events whose attributes end so, all of them."""
        return cls({"suffix": _written("suffix", attributes)})

    def __and__(self, other: Filter) -> Filter:
        return Filter({"all": [*_parts(self, "all"), *_parts(other, "all")]})

    def __or__(self, other: Filter) -> Filter:
        return Filter({"any": [*_parts(self, "any"), *_parts(other, "any")]})

    def __invert__(self) -> Filter:
        return Filter({"not": dict(self.dialect)})

    def __hash__(self) -> int:
        return hash(repr(self.dialect))

    def __reduce__(self) -> tuple[Any, ...]:
        return Filter, (dict(self.dialect),)  # the read-only view cannot be copied as it is


def _parts(one: Filter, kind: str) -> list[Any]:
    return list(one.dialect[kind]) if kind in one.dialect else [dict(one.dialect)]


def _check(dialect: Any, *, depth: int) -> None:
    if depth > DEEPEST:
        raise SpecError(f"filter: more than {DEEPEST} filters in each other", field="filter")
    known = (*OF_ATTRIBUTES, *OF_SEVERAL, "not")
    if not isinstance(dialect, Mapping) or len(dialect) != 1 or next(iter(dialect)) not in known:
        raise SpecError(
            f"filter: {dialect!r}: write one of {', '.join(known)}, like Filter.prefix(type='net.')", field="filter"
        )
    ((kind, inner),) = dialect.items()
    if kind in OF_ATTRIBUTES:
        _check_attributes(kind, inner)
    elif kind == "not":
        _check(inner, depth=depth + 1)
    else:
        if isinstance(inner, str | Mapping) or not isinstance(inner, Sequence) or not inner:
            raise SpecError(f"filter: {kind} = {inner!r}: takes a list of filters that is not empty", field="filter")
        for part in inner:
            _check(part, depth=depth + 1)


def _written(kind: str, attributes: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse what can be meant by nobody; a filter on record may say it, from when that was taken, and is served."""
    if "data" in attributes:  # no event has such an attribute: it would fit none, and its opposite all
        raise SpecError(
            f"filter: {kind}: data: a filter does not look into an event's data; let the function do that",
            field="filter",
        )
    return attributes


def _check_attributes(kind: str, attributes: Any) -> None:
    if not isinstance(attributes, Mapping) or not attributes:
        raise SpecError(f"filter: {kind} = {attributes!r}: name an attribute and its text", field="filter")
    for name, text in attributes.items():
        if not (isinstance(name, str) and name.isascii() and name.isalnum() and name.islower()):
            raise SpecError(
                f"filter: {kind}: {name!r} is no attribute of an event: use lower-case letters and digits",
                field="filter",
            )
        if not isinstance(text, str) or not text:
            raise SpecError(f"filter: {kind}: {name} = {text!r}: must be text that is not empty", field="filter")
