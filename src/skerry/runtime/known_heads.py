"""Heads of requests that came before, byte by byte the same: what they say need not be found out again."""

from __future__ import annotations

from skerry.runtime.exchange import Exchange

MAX_HEADS = 1024
MAX_HEAD_BYTES = 2048
# Heads with these are not kept: secrets, what has to be checked each time, and what is never the same twice.
UNKEPT = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"origin",
        b"traceparent",
        b"ce-id",
        b"x-request-id",
        b"expect",
    }
)


class KnownHead:
    """What a head says, and how long the body after it is."""

    __slots__ = ("entry", "headers", "length", "reading", "target")

    def __init__(self, exchange: Exchange) -> None:
        self.target = exchange.target
        self.headers = exchange.headers
        self.length = exchange.size  # bytes of the body
        self.entry = exchange.entry
        self.reading = exchange.reading


KnownHeads = dict[bytes, KnownHead]


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
    if len(heads) >= MAX_HEADS:
        heads.clear()
    heads[head] = KnownHead(exchange)
