"""Heads of requests that came before, byte by byte the same: what they say need not be found out again.

A head with a `traceparent` is never the same twice. It is known by the bytes before and after the value, which has a
fixed length and form; the value itself is read anew for each request.
"""

from __future__ import annotations

import re

from skerry.runtime.exchange import Exchange

MAX_HEADS = 1024
MAX_HEAD_BYTES = 2048
FORGOTTEN = -1  # bytes that no request has
# Heads with these are not kept: secrets, what has to be checked each time, and what is never the same twice.
UNKEPT = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"origin",
        b"ce-id",
        b"x-request-id",
        b"expect",
    }
)
TRACEPARENT = b"\r\ntraceparent: "  # as clients write it; written otherwise, such heads are parsed
_TRACE = re.compile(rb"\r\ntraceparent: (00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})\r\n")  # W3C Trace Context, 3.2.2


class KnownHead:
    """What a head says, and how long the body after it is.

    Args:
        exchange: A request that had this head.
        text: The head, where it is always the same.
    """

    __slots__ = ("entry", "headers", "length", "reading", "target", "text", "traced_at", "whole_bytes")

    def __init__(self, exchange: Exchange, text: bytes = b"") -> None:
        self.text = text
        self.whole_bytes = len(text) + exchange.size if text else FORGOTTEN  # of a request that begins with `text`
        self.target = exchange.target
        self.headers = exchange.headers
        self.length = exchange.size  # bytes of the body
        self.entry = exchange.entry
        self.reading = exchange.reading
        # Place of the one header whose value is new each time; -1 without.
        self.traced_at = next((i for i, (name, _) in enumerate(self.headers) if name == b"traceparent"), -1)

    def trace(self, exchange: Exchange, traceparent: bytes) -> None:
        """Give a request of this head its own `traceparent`."""
        exchange.headers = self.headers.copy()
        exchange.headers[self.traced_at] = (b"traceparent", traceparent)
        if self.reading is not None:
            exchange.reading = self.reading.with_traceparent(traceparent.decode("latin-1"))


def forget(heads: KnownHeads) -> None:
    """Forget all heads, also for those who keep one of them at hand."""
    for head in heads.values():
        head.whole_bytes = FORGOTTEN
    heads.clear()


# By the whole head, or by what is before and after the value of its traceparent.
KnownHeads = dict[bytes | tuple[bytes, bytes], KnownHead]


def find_traced(heads: KnownHeads, head: bytes) -> tuple[KnownHead | None, bytes]:
    """Return what is known of a head but for its `traceparent`, and that value; None and nothing for no such head."""
    found = _TRACE.search(head)
    if found is None:
        return None, b""
    begin, end = found.span(1)
    return heads.get((head[:begin], head[end:])), found[1]


def learn(heads: KnownHeads, data: bytes, body_at: int, exchange: Exchange) -> None:
    """Keep the head of a request to a function, if it is one that will mean the same each time.

    Args:
        heads: Where it is kept.
        data: All bytes that were read; the parser has found one whole request in them and nothing besides.
        body_at: Where the first empty line ends.
        exchange: That request.
    """
    head = data[:body_at]
    # Bare line feeds end no line of ours: where the head ends must be beyond doubt.
    if len(head) > MAX_HEAD_BYTES or head.count(b"\n") != head.count(b"\r\n"):
        return
    if exchange.body != data[body_at:] or any(name in UNKEPT for name, _ in exchange.headers):
        return
    key: bytes | tuple[bytes, bytes] = head
    traces = sum(name == b"traceparent" for name, _ in exchange.headers)
    if traces:
        found = _TRACE.search(head)
        if found is None or traces > 1 or (b"traceparent", found[1]) not in exchange.headers:
            return
        key = (head[: found.start(1)], head[found.end(1) :])
    if key in heads:  # of which somebody may keep it at hand
        return
    if len(heads) >= MAX_HEADS:
        forget(heads)
    heads[key] = KnownHead(exchange, b"" if traces else head)
