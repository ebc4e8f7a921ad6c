"""Sampled packets of sFlow, read together."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.network.flows.columns import spread
from skerry.network.flows.origin import Chunk
from skerry.network.flows.packets.headers import HEADER_BYTES, Link, decode_headers
from skerry.network.flows.packets.records import records_of

_PREFIX = struct.Struct(">III")

_SAMPLE = np.dtype([("link", ">u4"), ("wire_bytes", ">u4"), ("kept_bytes", ">u4"), ("header", "u1", (HEADER_BYTES,))])

# sFlow's numbers for what a sampled header begins with.
LINKS = {1: Link.ETHERNET, 11: Link.RAW, 12: Link.RAW}


def pack_sample(link: Link, wire_bytes: int, header: bytes) -> bytes:
    """Return a sampled packet in the form that ``read_samples`` reads."""
    kept = header[:HEADER_BYTES]
    return _PREFIX.pack(link, wire_bytes, len(kept)) + kept.ljust(HEADER_BYTES, b"\0")


def read_samples(chunks: Sequence[Chunk]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turn sampled packets into flow records; packets that are no IP are left out.

    Args:
        chunks: Of what ``pack_sample`` returns.

    Returns:
        Records of dtype ``FLOW``, and for each the turn of its chunk.
    """
    samples = np.frombuffer(b"".join([chunk.body for chunk in chunks]), _SAMPLE)
    base, order = spread(chunks)
    headers = decode_headers(samples["header"], samples["kept_bytes"].astype("<i8"), samples["link"].astype("<i8"))
    chosen = headers["family"] > 0
    base, order = base[chosen], order[chosen]
    out = records_of(headers[chosen], samples["wire_bytes"][chosen], base["rate"])
    for column in ("received_ms", "exporter", "domain"):
        out[column] = base[column]
    # A sample has no time of its own, and is sent within a second or so.
    out["first_ms"] = out["last_ms"] = base["received_ms"]
    return out, order
