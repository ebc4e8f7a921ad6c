"""The options of a function as its decorator takes them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Literal

from skerry.errors import SpecError
from skerry.spec import Scale, function_spec


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
    if "scale" in given and not isinstance(given["scale"], Scale):
        raise SpecError(f"function {name!r}: scale = {given['scale']!r}: write skerry.Scale(...)", field="scale")
    function_spec({"name": name, **given}, where=f"function {name!r}")
    return given
