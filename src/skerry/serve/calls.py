"""What one caller asks of a model, in the words of its protocol, and what it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skerry.payload.inference import InferenceRequest

CACHE_HEADER = "skerry-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorCall:
    """A call in the Open Inference Protocol v2.

    Args:
        request: The decoded body.
    """

    request: InferenceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictCall:
    """A call in KServe's protocol v1; one of the two is given.

    Args:
        instances: Rows, or objects with a row for each input.
        inputs: Rows, or rows by the input's name.
    """

    instances: Any = None
    inputs: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainCall:
    """A call of the function, as of any other.

    Args:
        args: Decoded arguments.
        kwargs: Decoded arguments by name.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller is answered.

    Args:
        value: An `InferenceResponse` for a `TensorCall`, a plain value for others.
        headers: Further headers of the response.
        is_typed: Whether the value is the result of a function whose annotation says how it travels.
    """

    value: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    is_typed: bool = False
