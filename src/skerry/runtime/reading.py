"""What the head of a request says to a function: formats, deadline, priority, batch, trace."""

from __future__ import annotations

import math
import re
from typing import Any

from skerry.errors import MalformedBodyError, UnsupportedMediaTypeError
from skerry.runtime.call import DEFAULT_URGENCY
from skerry.runtime.frames import CODEC_OF, NO_META, Codec

MAX_META_BYTES = 16 * 1024  # headers travel to the worker as a frame's metadata
MAX_GROUP_BYTES = 256
# curl and HTML forms say this when nobody told them what they send
UNTYPED = frozenset({b"", b"application/json", b"application/x-www-form-urlencoded"})
NO_CODING = frozenset({b"", b"identity"})
# What a caller may ask for besides JSON; JSON lines are what streams are in any case, but for those of bytes.
ANSWERS = frozenset({b"text/event-stream", b"application/msgpack", b"application/x-ndjson"})
QUALITY = re.compile(rb";\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)")
JSON_OR_MSGPACK = "application/json, application/msgpack"  # the one for a value, the other for a stream
WAIT = re.compile(rb"(?:^|,)\s*wait\s*=\s*(\d{1,6})\s*(?:;[^,]*)?(?=,|$)")
URGENCY = re.compile(rb"(?:^|,)\s*u\s*=\s*(\d+)\s*(?:;[^,]*)?(?=,|$)")

PROTOCOL = "skerry-protocol"  # what a handler is told of the address; a client's header of this name is not
INFERENCE_HEAD = b"inference-header-content-length"  # Open Inference Protocol: how much of a body is JSON

Headers = list[tuple[bytes, bytes]]


class Reading:
    """A head, read.

    Attributes:
        codec: How the body is written; a `Codec`.
        meta: What the worker is told besides the body.
        is_async: Whether the caller does not want to wait.
        wait_s: Seconds that such a caller waits for all that: a call that ends within them is answered at once.
        timeout_s: Seconds from arrival after which the caller has no use for the answer, none for no limit.
        urgency: 0 to 7, the most urgent first (RFC 9218).
        weight: What the request counts in a batch, none where it says nothing.
        group: Only requests of one group share a batch.
        traceparent: The caller's, none without.
        is_timed: Whether the caller wants to be told what its time was spent on.
        app: The app that the caller takes the function for, none where it says nothing. It is checked when the head is
            read, and changes nothing else about the call.
    """

    __slots__ = (
        "app",
        "codec",
        "group",
        "is_async",
        "is_plain",
        "is_timed",
        "meta",
        "timeout_s",
        "traceparent",
        "urgency",
        "wait_s",
        "weight",
    )

    def __init__(self) -> None:
        self.codec: int = 0
        self.meta: dict[str, Any] = NO_META
        self.is_async = False
        self.wait_s = 0.0
        self.timeout_s: float | None = None
        self.urgency = DEFAULT_URGENCY
        self.weight: float | None = None
        self.group: str | None = None
        self.traceparent: str | None = None
        self.is_timed = False
        self.app: str | None = None
        self.is_plain = False  # nothing but a JSON body: the defaults of a call hold

    def settle(self) -> Reading:
        """Note whether anything was said at all; return the reading itself."""
        self.is_plain = not (
            self.codec
            or self.meta
            or self.is_async
            or self.timeout_s is not None
            or self.urgency != DEFAULT_URGENCY
            or self.weight is not None
            or self.group is not None
            or self.is_timed
        )
        return self

    def with_traceparent(self, traceparent: str) -> Reading:
        """Return the same reading of a head with another `traceparent`."""
        same = Reading()
        same.codec, same.is_async, same.timeout_s = self.codec, self.is_async, self.timeout_s
        same.wait_s = self.wait_s
        same.urgency, same.weight, same.group = self.urgency, self.weight, self.group
        same.is_timed, same.app = self.is_timed, self.app
        same.meta = {**self.meta, "traceparent": traceparent}
        same.traceparent = traceparent
        return same


def read_head(headers: Headers, protocol: str | None = None) -> Reading:
    """Return what a request's headers say to a function.

    Args:
        headers: Names in lower case.
        protocol: The inference protocol of the address, ``v1`` or ``v2``; none for `/function/NAME`.

    Raises:
        MalformedBodyError: a header's value is not of its form; the message names the header.
        UnsupportedMediaTypeError: the body is compressed.
    """
    reading = Reading()
    meta: dict[str, Any] = {}
    for name, value in headers:
        read = _READERS.get(name)
        if read is not None:
            read(reading, meta, value)
        elif name.startswith(b"ce-") or (protocol is not None and name == INFERENCE_HEAD):
            meta.setdefault("headers", {})[name.decode("latin-1")] = value.decode("latin-1")
    if protocol is not None:
        meta.setdefault("headers", {})[PROTOCOL] = protocol
    if meta:
        reading.meta = meta
        size = sum(len(text) for text in meta.values() if isinstance(text, str))
        size += sum(len(name) + len(text) for name, text in meta.get("headers", {}).items())
        if size > MAX_META_BYTES:
            raise MalformedBodyError(f"headers for the function: they are larger than {MAX_META_BYTES} bytes together")
    return reading.settle()


def _content_type(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    kind = value.partition(b";")[0].strip().lower()
    if kind in UNTYPED:
        return
    reading.codec = CODEC_OF.get(kind.decode("latin-1"), Codec.OTHER)
    if reading.codec == Codec.OTHER:
        meta["content_type"] = value.decode("latin-1")


def _content_encoding(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    if value.strip().lower() not in NO_CODING:
        raise UnsupportedMediaTypeError(
            f"content-encoding {value.decode('latin-1')!r}: functions read no compressed bodies; send it as it is"
        )


def _accept(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    best, most = b"", 0.0
    for wish in value.lower().split(b","):
        kind, found = wish.partition(b";")[0].strip(), QUALITY.search(wish)
        quality = float(found[1]) if found is not None else 1.0
        if kind in ANSWERS and quality > most:
            best, most = kind, quality
    if best:
        json_first = best == b"application/msgpack" and b"application/json" in value.lower().partition(best)[0]
        meta["accept"] = JSON_OR_MSGPACK if json_first else best.decode()


def _prefer(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    if b"respond-async" in value:
        reading.is_async = True
    found = WAIT.search(value)
    if found is not None:
        reading.wait_s = float(found[1])


def _timeout(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    timeout_ms = _number("skerry-timeout-ms", value)
    if not 0 < timeout_ms <= 86_400_000:
        raise MalformedBodyError(f"skerry-timeout-ms: {timeout_ms:g} is not above 0 and at most a day")
    reading.timeout_s = timeout_ms / 1000


def _priority(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    # Of a structured field, unknown members and values out of range are ignored (RFC 9218, section 4).
    found = URGENCY.search(value)
    if found is not None and int(found[1]) <= 7:
        reading.urgency = int(found[1])


def _weight(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    reading.weight = _number("skerry-weight", value)
    if reading.weight <= 0:
        raise MalformedBodyError(f"skerry-weight: {reading.weight:g} is not above 0")


def _group(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    if len(value) > MAX_GROUP_BYTES:
        raise MalformedBodyError(f"skerry-group: longer than {MAX_GROUP_BYTES} bytes")
    reading.group = value.decode("latin-1")


def _traceparent(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    meta["traceparent"] = reading.traceparent = value.decode("latin-1")


def _tracestate(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    more = value.decode("latin-1")
    meta["tracestate"] = f"{meta['tracestate']},{more}" if "tracestate" in meta else more


def _timing(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    reading.is_timed = value.strip() == b"1"


def _app(reading: Reading, meta: dict[str, Any], value: bytes) -> None:
    reading.app = value.decode("latin-1")


def _number(name: str, value: bytes) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise MalformedBodyError(f"{name}: {value.decode('latin-1')!r} is not a number")
    return number


_READERS = {
    b"content-type": _content_type,
    b"content-encoding": _content_encoding,
    b"accept": _accept,
    b"prefer": _prefer,
    b"skerry-timeout-ms": _timeout,
    b"priority": _priority,
    b"skerry-weight": _weight,
    b"skerry-group": _group,
    b"skerry-timing": _timing,
    b"skerry-app": _app,
    b"traceparent": _traceparent,
    b"tracestate": _tracestate,
}
