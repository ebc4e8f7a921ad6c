"""Selections by name, as a plan gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from skerry.errors import SpecError
from skerry.learn.federated.selection.apodotiko import Apodotiko
from skerry.learn.federated.selection.base import Selection
from skerry.learn.federated.selection.clustered import Clustered
from skerry.learn.federated.selection.everyone import Everyone
from skerry.learn.federated.selection.fedlesscan import FedLesScan
from skerry.learn.federated.selection.uniform import Uniform

SELECTIONS: Mapping[str, type[Selection]] = {
    kind.name: kind for kind in (Everyone, Uniform, FedLesScan, Apodotiko, Clustered)
}


def make_selection(name: str, options: Mapping[str, Any] | None = None) -> Selection:
    """Return a selection by its name.

    Args:
        name: Of `SELECTIONS`.
        options: Its own, such as ``{"rounds": 50}`` of ``fedlesscan``.

    Raises:
        SpecError: there is no such selection or option, or a value is of a wrong type or out of range.

    Example:
        ``make_selection("fedlesscan", {"rounds": 50})``
    """
    kind = SELECTIONS.get(name)
    if kind is None:
        raise SpecError(f"there is no selection {name!r}; there are {', '.join(SELECTIONS)}", field="selection")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # every selection is a dataclass
    for option, value in (options or {}).items():
        if option not in known:
            has = f"its options are {', '.join(known)}" if known else "it has no options"
            raise SpecError(f"selection {name!r} has no option {option!r}; {has}", field=option)
        wanted = type(known[option].default)
        if isinstance(value, bool) or not isinstance(value, (int, wanted)):
            raise SpecError(f"{name}: {option} is {value!r}; it must be of type {wanted.__name__}", field=option)
    return kind(**(options or {}))
