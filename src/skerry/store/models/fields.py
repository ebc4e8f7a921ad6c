"""Checks of what was read from JSON: each returns the value, or raises ModelRejectedError that says where and what."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from skerry.errors import ModelRejectedError

TEXT_LIMIT = 255
DEPTH_LIMIT = 32
_KINDS: Mapping[type, str] = MappingProxyType(
    {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
)
NAME = re.compile(r"[a-z]([a-z0-9_-]{0,61}[a-z0-9])?")
SHA256 = re.compile(r"[0-9a-f]{64}")


def refusal(where: str, what: str) -> ModelRejectedError:
    """Return the error of one field."""
    return ModelRejectedError(f"{where}: {what}")


def parse_json(data: bytes, where: str, *, limit_bytes: int) -> Any:
    """Return what strict JSON says: UTF-8, no member twice, no NaN, nothing nested endlessly, nothing too long.

    Raises:
        ModelRejectedError: it is not that.
    """
    if len(data) > limit_bytes:
        raise refusal(where, f"{len(data)} bytes are too many, at most {limit_bytes} are read")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise refusal(where, "it is nested too deeply") from None
    except ValueError as error:  # broken UTF-8, broken JSON, a number of thousands of digits
        raise refusal(where, f"not JSON: {error}") from None


def canonical_json(value: Any, where: str) -> bytes:
    """Return the one spelling of a value: members sorted, no blanks, UTF-8.

    Raises:
        ModelRejectedError: JSON or UTF-8 cannot carry it.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise refusal(where, f"JSON cannot carry it: {error}") from None


def members(value: Any, where: str, names: Iterable[str]) -> dict[str, Any]:
    """Return an object that has exactly these members."""
    found = mapping(value, where)
    wanted = set(names)
    if missing := sorted(wanted - set(found)):
        raise refusal(where, f"{missing[0]!r} is missing")
    if unknown := sorted(set(found) - wanted):
        raise refusal(where, f"{unknown[0]!r} is unknown; a newer Skerry may have written it")
    return found


def mapping(value: Any, where: str) -> dict[str, Any]:
    """Return an object, whatever its members are."""
    if not isinstance(value, dict):
        raise refusal(where, f"must be an object, not {_kind(value)}")
    return value


def array(value: Any, where: str, *, limit: int) -> list[Any]:
    """Return an array of at most ``limit`` items."""
    if not isinstance(value, list):
        raise refusal(where, f"must be an array, not {_kind(value)}")
    if len(value) > limit:
        raise refusal(where, f"{len(value)} items are too many, at most {limit} are read")
    return value


def text(value: Any, where: str, *, pattern: re.Pattern[str] | None = None) -> str:
    """Return a line of text of 1 to 255 characters that can be printed."""
    if not isinstance(value, str):
        raise refusal(where, f"must be a string, not {_kind(value)}")
    if not 1 <= len(value) <= TEXT_LIMIT:
        raise refusal(where, f"must have 1 to {TEXT_LIMIT} characters, not {len(value)}")
    if not value.isprintable():
        raise refusal(where, f"{value!r} has characters that cannot be printed")
    if pattern is not None and not pattern.fullmatch(value):
        raise refusal(where, f"{value!r} is not of the form {pattern.pattern}")
    return value


def optional_text(value: Any, where: str) -> str | None:
    """Return a line of text, or None."""
    return None if value is None else text(value, where)


def whole(value: Any, where: str, *, low: int, high: int) -> int:
    """Return a whole number of a range, both ends included."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise refusal(where, f"must be a whole number, not {_kind(value)}")
    if not low <= value <= high:
        raise refusal(where, f"must be from {low} to {high}")
    return value


def number(value: Any, where: str) -> float:
    """Return a finite number as float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise refusal(where, f"must be a number, not {_kind(value)}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise refusal(where, "must be finite")
    return found


def plain(value: Any, where: str) -> Any:
    """Return a value of any JSON type that is nested at most 32 deep.

    Raises:
        ModelRejectedError: it is nested deeper, or its members are not named by strings.
    """
    pending = [(value, 1)]
    while pending:
        inner, depth = pending.pop()
        if depth > DEPTH_LIMIT:
            raise refusal(where, f"must be nested at most {DEPTH_LIMIT} deep")
        if isinstance(inner, dict):
            if not all(isinstance(name, str) for name in inner):
                raise refusal(where, "members must be named by strings")
            pending.extend((item, depth + 1) for item in inner.values())
        elif isinstance(inner, list | tuple):
            pending.extend((item, depth + 1) for item in inner)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"a Python {type(value).__name__}")
