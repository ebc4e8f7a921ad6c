"""The options of a function as its decorator takes them, and those of its calls."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

from skerry.errors import SpecError

if TYPE_CHECKING:
    from skerry.platforms import CallOptions


class _Unset(Enum):
    """A default that no person can mean."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


Unset = Literal[_Unset.UNSET]
UNSET: Final = _Unset.UNSET


def given_options(values: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """Return the options that were given, checked.

    Args:
        values: Every option, with `UNSET` for those that were not given.
        name: The function's name.

    Raises:
        SpecError: a value has a wrong type or is out of range, or the name cannot be used.
    """
    given = {key: value for key, value in values.items() if value is not UNSET}
    for key, kind in (("scale", "Scale"), ("batch", "Batch")):
        if isinstance(given.get(key), Mapping):
            raise SpecError(f"function {name!r}: {key} = {given[key]!r}: write skerry.{kind}(...)", field=key)
    from skerry.spec import function_spec

    function_spec({"name": name, **given}, where=f"function {name!r}")
    return given


def call_options(
    base: CallOptions,
    *,
    timeout: str | Unset | None,
    priority: int | Unset | None,
    group: str | Unset | None,
    weight: float | Unset | None,
    wait: str | Unset | None,
) -> CallOptions:
    """Return the options of a call with those that were given changed.

    Args:
        base: The options so far.
        timeout: Time until nobody waits for the answer any more, with its unit.
        priority: 0 (most urgent) to 7.
        group: Only calls of the same group share a batch.
        weight: What the call weighs in its batch.
        wait: How long a spawn may wait for the job's end, with its unit.

    Raises:
        SpecError: a value has a wrong type or is out of range.
    """
    from dataclasses import replace

    from skerry.spec import parse_duration

    changes: dict[str, Any] = {"priority": priority, "group": group, "weight": weight}
    if timeout is not UNSET:
        changes["timeout_s"] = None if timeout is None else parse_duration(timeout, key="timeout")
    if wait is not UNSET:
        changes["wait_s"] = None if wait is None else parse_duration(wait, key="wait")
    return replace(base, **{key: value for key, value in changes.items() if value is not UNSET})
