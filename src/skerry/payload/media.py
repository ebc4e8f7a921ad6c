"""Content types: which of the two codecs reads one."""

from __future__ import annotations

from skerry.errors import UnsupportedMediaTypeError

JSON = "application/json"
MSGPACK = "application/msgpack"
OCTETS = "application/octet-stream"

_SYNONYMS = {
    "": JSON,
    JSON: JSON,
    "text/json": JSON,
    MSGPACK: MSGPACK,
    "application/x-msgpack": MSGPACK,
    "application/vnd.msgpack": MSGPACK,
}


def essence(content_type: str) -> str:
    """Return a content type in lower case and without its parameters: ``application/json``."""
    return content_type.partition(";")[0].strip().lower()


def codec_name(content_type: str) -> str | None:
    """Return `JSON` or `MSGPACK`, whichever reads this content type, or None.

    An empty content type means JSON, as do the ``+json`` types of RFC 6839.
    """
    kind = essence(content_type)
    found = _SYNONYMS.get(kind)
    if found is None and kind.endswith("+json"):
        return JSON
    return found


def require_codec(content_type: str, *, or_octets: bool = False) -> str:
    """Return `JSON` or `MSGPACK`, whichever reads this content type.

    Args:
        content_type: What a body is.
        or_octets: Whether bytes as they are will do as well; `OCTETS` is returned for them.

    Raises:
        UnsupportedMediaTypeError: nothing reads it.
    """
    found = OCTETS if or_octets and essence(content_type) == OCTETS else codec_name(content_type)
    if found is None:
        known = f"{JSON}, {MSGPACK} or {OCTETS}" if or_octets else f"{JSON} or {MSGPACK}"
        raise UnsupportedMediaTypeError(f"cannot read {content_type[:100]!r}: send {known}")
    return found
