"""Values of a state for people to look at, those that JSON has no form for too."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from skerry.errors import InvalidPayloadError
from skerry.payload import JSON, encode


def shown(value: Any) -> tuple[bytes, bool]:
    """Return a value as JSON, and whether that says all of it."""
    try:
        return encode(value, JSON), True
    except InvalidPayloadError:
        return encode(_as_text(value), JSON), False


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_text(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        encode(value, JSON)
    except InvalidPayloadError:
        return str(value)
    return value
