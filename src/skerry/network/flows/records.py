"""Cutting a data set into records."""

from __future__ import annotations

from skerry.errors import DataError
from skerry.network.flows.layout import Layout


def cut(body: bytes, layout: Layout) -> tuple[bytes, int]:
    """Return the records of a data set in the form that the layout's dtype reads, and their number.

    Bytes behind the last whole record are padding. Fields of variable length are taken out.

    Args:
        body: The set without its header.
        layout: Of the set's template.

    Raises:
        DataError: A field of variable length ends outside of the set. It carries what was whole before as ``records``
            and ``count``.
    """
    if layout.segments:
        return _cut_variable(body, layout.segments, layout.min_bytes)
    count = len(body) // layout.min_bytes
    return body[: count * layout.min_bytes], count


def _cut_variable(body: bytes, segments: tuple[int, ...], min_bytes: int) -> tuple[bytes, int]:
    parts: list[bytes] = []
    whole, count, at, end = 0, 0, 0, len(body)
    while end - at >= min_bytes:
        parts.append(body[at : at + segments[0]])
        at += segments[0]
        for segment in segments[1:]:
            if at >= end:
                raise _too_long(parts[:whole], count)
            length = body[at]
            at += 1
            if length == 255:  # the long form: two more bytes have the length
                length = int.from_bytes(body[at : at + 2], "big")
                at += 2
            at += length
            if at + segment > end:
                raise _too_long(parts[:whole], count)
            if segment:
                parts.append(body[at : at + segment])
                at += segment
        count += 1
        whole = len(parts)
    return b"".join(parts), count


def _too_long(parts: list[bytes], count: int) -> DataError:
    return DataError(
        "a field of variable length ends outside of its set; the rest of the set is lost",
        reason="field_beyond_set",
        records=b"".join(parts),
        count=count,
    )
