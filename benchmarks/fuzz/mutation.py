"""Random damage to bytes, of the kinds that parsers are known to stumble over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

MAX_BYTES = 1 << 17

HTTP_WORDS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\r\n\r\n",
    b"\r\n ",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"5;x=y\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"GET /health/liveness HTTP/1.1\r\n\r\n",
    b"POST http://x/function/echo HTTP/1.1\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"content-length: 18446744073709551616\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"Prefer: respond-async\r\n",
    b"Accept: text/event-stream\r\n",
    b"Accept: application/msgpack\r\n",
    b"Content-Type: application/msgpack\r\n",
    b"Content-Type: multipart/form-data\r\n",
    b"ce-id: 1\r\nce-specversion: 1.0\r\n",
    b"skerry-timeout-ms: 1\r\n",
    b"skerry-timeout-ms: -1\r\n",
    b"skerry-weight: nan\r\n",
    b"skerry-group: g\r\n",
    b"priority: u=0\r\n",
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
]
FRAME_WORDS = [
    b"\0" * 4,
    b"\xff" * 4,
    b"\xff\xff",
    b"\x01",
    b"\x10\x00\x00\x00",
    b"\x80",
    b"\x81\xa6status\xcd\x01\xf4",
    b"\x81\xaccontent_type\xa1x",
    b"\xc1",
    b"\xdd\xff\xff\xff\xff",
    b"\x13",
    b"\x14",
    b"\x15",
    b"\x16",
    b"\x17",
]


def mutate(random: Random, data: bytes, words: Sequence[bytes], *, most: int = 4) -> bytes:
    """Return ``data`` with one to ``most`` pieces of damage.

    Args:
        random: Where chance comes from.
        data: What to damage.
        words: Bytes that mean something in the format.
        most: Most pieces of damage.
    """
    for _ in range(random.randint(1, most)):
        data = random.choice(_DAMAGES)(random, data, words)
    return data[:MAX_BYTES]


def split(random: Random, data: bytes, *, most: int = 6) -> list[bytes]:
    """Return ``data`` in up to ``most`` pieces."""
    cuts = sorted(random.randint(0, len(data)) for _ in range(random.randint(0, most - 1)))
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(edges) if b > a]


def _flip(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def _insert(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(random.randint(1, 8)) + data[at:]


def _insert_word(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(words) + data[at:]


def _insert_line(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    ends = [at + 2 for at in range(len(data) - 1) if data[at : at + 2] == b"\r\n"]
    at = random.choice(ends) if ends else 0
    return data[:at] + random.choice(words) + data[at:]


def _delete(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.randint(1, 12) :]


def _repeat(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    piece = data[at : at + random.randint(1, 64)]
    return data[:at] + piece * random.choice([2, 2, 2, 30]) + data[at + len(piece) :]


def _move(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    at, to = random.randrange(len(data) + 1), random.randrange(len(data) + 1)
    piece = data[at : at + random.randint(1, 40)]
    rest = data[:at] + data[at + len(piece) :]
    return rest[:to] + piece + rest[to:]


def _cut(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


_DAMAGES: list[Callable[[Random, bytes, Sequence[bytes]], bytes]] = [
    _flip,
    _flip,
    _insert,
    _insert_word,
    _insert_line,
    _insert_line,
    _delete,
    _repeat,
    _move,
    _cut,
]
