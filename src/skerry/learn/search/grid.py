"""Candidates of a grid, in scikit-learn's order, and their values as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skerry.errors import DataError

Grid = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]]
"""Values to try per parameter, or several such grids one after the other, as ``GridSearchCV`` takes them."""

_TUPLE = "$tuple"


def list_candidates(grid: Grid) -> list[dict[str, Any]]:
    """Return every combination of a grid, in the order in which ``GridSearchCV`` numbers them.

    Raises:
        DataError: the grid, or one of its lists of values, is empty or no list at all.
    """
    from sklearn.model_selection import ParameterGrid

    for part in [grid] if isinstance(grid, Mapping) else grid:
        if not isinstance(part, Mapping) or not part:
            raise DataError("grid: expected parameter names with lists of values; name at least one parameter")
        for name, values in part.items():
            if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
                raise DataError(f"grid.{name}: expected a list of values, got {values!r}", field=f"grid.{name}")
            if len(values) == 0:
                raise DataError(f"grid.{name}: the list of values is empty", field=f"grid.{name}")
    candidates: list[dict[str, Any]] = [dict(each) for each in ParameterGrid(grid)] if grid else []
    if not candidates:
        raise DataError("grid: it holds no candidate; give at least one parameter with at least one value")
    return candidates


def to_plain(value: Any, field: str = "parameter") -> Any:
    """Return a parameter's value as JSON can carry it; tuples are marked, because scikit-learn tells them from lists.

    Args:
        value: None, a boolean, number or string, a NumPy scalar, or lists, tuples and mappings of these.
        field: Where the value stands, for the message of the error.

    Raises:
        DataError: the value is of another kind, so that no worker could rebuild it without a pickle.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return {_TUPLE: [to_plain(item, field) for item in value]}
    if isinstance(value, list):
        return [to_plain(item, field) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: to_plain(item, field) for key, item in value.items()}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return to_plain(value.item(), field)
    raise DataError(
        f"{field}: {type(value).__name__} cannot travel as JSON; use None, booleans, numbers, strings, lists or tuples",
        field=field,
    )


def from_plain(value: Any) -> Any:
    """Return the value that :func:`to_plain` wrote."""
    if isinstance(value, dict):
        if value.keys() == {_TUPLE}:
            return tuple(from_plain(item) for item in value[_TUPLE])
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    return value
