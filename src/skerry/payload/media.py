"""Content types: which of the two codecs reads one."""

from __future__ import annotations

from skerry.errors import UnsupportedMediaTypeError

JSON = "application/json"
MSGPACK = "application/msgpack"

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


def require_codec(content_type: str) -> str:
    """Return `JSON` or `MSGPACK`, whichever reads this content type.

    Raises:
        UnsupportedMediaTypeError: neither does.
    """
    found = codec_name(content_type)
    if found is None:
        raise UnsupportedMediaTypeError(f"cannot read {content_type[:100]!r}: send {JSON} or {MSGPACK}")
    return found
