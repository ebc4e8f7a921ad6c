"""What passes between steps: MessagePack, which is taken apart and put together without being decoded."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

import msgpack
import orjson

from skerry.spec.chain import ChainPlan, chain_of


def write_plan(plan: ChainPlan) -> str:
    """Return a plan as JSON."""
    return orjson.dumps(plan.to_dict()).decode()


@lru_cache(maxsize=256)  # checking it takes longer than many a run, and the runs of a chain have one plan
def read_plan(text: str) -> ChainPlan:
    """Return the plan that `write_plan` wrote.

    Raises:
        SpecError: it is none.
    """
    return chain_of(orjson.loads(text), where="chain")


def split_list(body: bytes) -> list[bytes] | None:
    """Return the items of a list, each as it is written; none where the value is no list."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(body)
    try:
        count = unpacker.read_array_header()
        found, begin = [], unpacker.tell()
        for _ in range(count):
            unpacker.skip()
            end = unpacker.tell()
            found.append(body[begin:end])
            begin = end
    except (ValueError, msgpack.UnpackException):
        return None
    return found


def join_list(items: Sequence[bytes]) -> bytes:
    """Return the list of values that are written already."""
    count = len(items)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 2**16:
        head = struct.pack(">BH", 0xDC, count)
    else:
        head = struct.pack(">BI", 0xDD, count)
    return head + b"".join(items)


def read_text(body: bytes) -> str | None:
    """Return a value that is text; a truth value as ``true`` or ``false``; none of what is neither."""
    try:
        value = msgpack.unpackb(body, raw=False)
    except (ValueError, msgpack.UnpackException):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None
