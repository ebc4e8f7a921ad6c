"""What a worker may say about a call: a broken one must not break the front."""

from __future__ import annotations

import re

from skerry.runtime.call import Call
from skerry.runtime.frames import Codec, Frame, Kind

LINE_BREAK = re.compile(r"[\r\n\0]")
# The only headers that a function sets: of a CloudEvent, of binary tensors, of an answer that was given before.
RESULT_HEADER = re.compile(r"ce-[a-z0-9-]+|inference-header-content-length|skerry-cache")


def fits(frame: Frame, call: Call) -> bool:
    """Whether a worker's frame is one that may come next for a call.

    Args:
        frame: What the worker sent.
        call: The call that the frame names.
    """
    kind, meta = frame.kind, frame.meta
    if kind == Kind.RESULT:
        return (
            not call.streaming
            and frame.codec <= Codec.OTHER
            and _is_text(meta.get("content_type", None if frame.codec == Codec.OTHER else ""))
            and _are_headers(meta.get("headers", {}))
        )
    if kind == Kind.ERROR:
        status = meta.get("status")
        return isinstance(status, int) and 400 <= status <= 599
    if kind == Kind.STREAM:
        return not call.streaming and _is_text(meta.get("content_type"))
    return kind in (Kind.PIECE, Kind.END) and (call.streaming or call.done)


def _is_text(value: object) -> bool:
    """Whether a value can stand in a head; a line break would begin another header, or another answer."""
    return isinstance(value, str) and not LINE_BREAK.search(value)


def _are_headers(headers: object) -> bool:
    if not isinstance(headers, dict):
        return False
    return all(
        _is_text(value) and isinstance(name, str) and RESULT_HEADER.fullmatch(name) for name, value in headers.items()
    )
