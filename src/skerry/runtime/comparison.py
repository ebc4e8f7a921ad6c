"""Whether two versions have answered one request alike, and a report of where they have not."""

from __future__ import annotations

import hashlib
import math
import struct
from collections import deque
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import msgpack
import orjson

from skerry.errors import SkerryError
from skerry.runtime.frames import Codec, Frame, Kind

TOLERANCE = 1e-5  # of numbers, relative to the larger one, and absolute below 1
UNCOMPARED_KEYS = frozenset({"model", "version", "model_name", "model_version"})  # which version it was is no result
SCORE_KEYS = frozenset({"probabilities", "scores"})  # beside ``labels``: how sure a classifier is of them
MAX_COMPARED_BYTES = 64 * 1024  # of a body that is read: it is read between other requests, and delays them
KEPT = 20
SHOWN_BYTES = 500
HEADER_LENGTH = "inference-header-content-length"
ARRAY_EXTENSION = 1  # of MessagePack: [dtype, shape, bytes], see `skerry.payload.codec`; read here without NumPy
DATATYPES = {"float16": "FP16", "float32": "FP32", "float64": "FP64"}
FLOATS = {"FP16": ("e", 2), "FP32": ("f", 4), "FP64": ("d", 8)}  # datatype to its letter for `struct`, and bytes


class Outcome(StrEnum):
    """What a comparison has found."""

    AGREES = "agrees"
    DIFFERS = "differs"
    FAILED = "failed"  # the shadow gave no answer
    UNCOMPARED = "uncompared"  # there is nothing to compare, or it is too large


def compare(primary: Frame | SkerryError, shadow: Frame | SkerryError) -> Outcome:
    """Compare two answers to one request.

    Equal bodies agree; so do JSON, MessagePack and tensors in binary that differ in numbers by less than `TOLERANCE`
    only, or in what they call the model. Of a classifier's plain answers only the labels count. Errors agree that have
    the same status. Streams are not compared.

    Args:
        primary: What the caller has got.
        shadow: What the other version said.
    """
    if isinstance(shadow, SkerryError):
        return Outcome.FAILED
    if isinstance(primary, SkerryError) or Kind.END in (primary.kind, shadow.kind):
        return Outcome.UNCOMPARED  # a lost worker or a deadline was no answer of the version
    if Kind.ERROR in (primary.kind, shadow.kind):
        alike = primary.kind == shadow.kind and primary.meta.get("status") == shadow.meta.get("status")
    elif primary.body == shadow.body:
        alike = True
    elif max(len(primary.body), len(shadow.body)) > MAX_COMPARED_BYTES:
        return Outcome.UNCOMPARED
    else:
        alike = _alike_bodies(primary, shadow)
    return Outcome.AGREES if alike else Outcome.DIFFERS


def alike_values(first: Any, second: Any) -> bool:
    """Whether two decoded values are the same, but for small differences of numbers and the names of models.

    Of two that hold labels and scores, only the labels are compared.
    """
    pairs = [(_result_of(first), _result_of(second))]
    while pairs:
        a, b = pairs.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                return False
            pairs += [(a[key], b[key]) for key in a]
        elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
            if len(a) != len(b):
                return False
            pairs += zip(a, b, strict=True)
        elif _is_number(a) and _is_number(b):
            if not _alike_numbers(a, b):
                return False
        elif type(a) is not type(b) or a != b:
            return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One request that two versions have answered differently.

    Args:
        request_digest: SHA-256 of the request's body, its first 16 digits.
        primary: The beginning of what the caller got.
        shadow: The beginning of what the other version said.
    """

    request_digest: str
    primary: str
    shadow: str


class ComparisonReport:
    """Counts comparisons and keeps the last differences."""

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(Outcome, 0)
        self.sent = 0  # copies
        self.dropped = 0  # requests that were not copied, as too many copies waited
        self._recent: deque[Difference] = deque(maxlen=KEPT)

    def add(self, request: bytes, primary: Frame | SkerryError, shadow: Frame | SkerryError) -> None:
        """Compare two answers to a request, and count what is found."""
        outcome = compare(primary, shadow)
        self.outcomes[outcome] += 1
        if outcome is Outcome.DIFFERS:
            digest = hashlib.sha256(request).hexdigest()[:16]
            self._recent.append(Difference(request_digest=digest, primary=_shown(primary), shadow=_shown(shadow)))

    @property
    def agreements(self) -> int:
        """Requests that both have answered alike."""
        return self.outcomes[Outcome.AGREES]

    @property
    def comparisons(self) -> int:
        """Requests whose answers were compared."""
        return self.outcomes[Outcome.AGREES] + self.outcomes[Outcome.DIFFERS]

    def describe(self) -> dict[str, Any]:
        """Return the report as plain values."""
        agreement_ratio = self.agreements / self.comparisons if self.comparisons else None
        return {
            "sent": self.sent,
            "dropped": self.dropped,
            **{str(outcome): count for outcome, count in self.outcomes.items()},
            "agreement_ratio": agreement_ratio,
            "differences": [asdict(difference) for difference in self._recent],
        }


def _alike_bodies(primary: Frame, shadow: Frame) -> bool:
    try:
        return alike_values(_value_of(primary), _value_of(shadow))
    except (ValueError, TypeError, KeyError, AttributeError, struct.error):
        return False  # they are unequal, and not of a kind that is read


def _value_of(answer: Frame) -> Any:
    if answer.codec == Codec.JSON:
        return orjson.loads(answer.body)
    if answer.codec == Codec.MSGPACK:
        return msgpack.unpackb(answer.body, strict_map_key=False, ext_hook=_extension)
    header_bytes = int(answer.meta["headers"][HEADER_LENGTH])
    head = orjson.loads(answer.body[:header_bytes])
    at = header_bytes
    for tensor in head["outputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is not None:
            tensor["data"] = _elements(answer.body[at : at + size], tensor["datatype"])
            at += size
    return head


def _extension(code: int, data: bytes) -> Any:
    if code != ARRAY_EXTENSION:
        return code, data
    dtype, shape, elements = msgpack.unpackb(data)
    return [dtype, shape, _elements(elements, DATATYPES.get(dtype, dtype))]


def _elements(data: bytes, datatype: str) -> Any:
    if datatype not in FLOATS:
        return data
    letter, size = FLOATS[datatype]
    return struct.unpack(f"<{len(data) // size}{letter}", data)


def _result_of(value: Any) -> Any:
    """Return what two versions must agree on: of a classifier's answer the labels, for no two are equally sure."""
    if not isinstance(value, dict):
        return value
    if "labels" in value and value.keys() & SCORE_KEYS:
        return value["labels"]
    return {key: item for key, item in value.items() if key not in UNCOMPARED_KEYS}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alike_numbers(a: float, b: float) -> bool:
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _shown(answer: Frame | SkerryError) -> str:
    if isinstance(answer, SkerryError):
        return answer.message
    text = answer.body[:SHOWN_BYTES].decode("utf-8", "replace")
    return f"{text} ..." if len(answer.body) > SHOWN_BYTES else text
