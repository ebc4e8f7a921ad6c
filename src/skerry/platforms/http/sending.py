"""A request as it goes out over a socket."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from skerry.errors import ConfigError

WHOLE_BYTES = 65_536  # up to here, copying a body costs less than another packet
_NO_PATH = re.compile(r"[\x00-\x20\x7f]")
_NO_VALUE = re.compile(r"[\x00\r\n]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Body = bytes | Iterable[bytes] | None


def pieces_of(method: str, path: str, host: str, body: Body, headers: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a request in the pieces in which it is sent: a small one is one piece.

    Args:
        method: Of HTTP.
        path: With its query.
        host: Of the server, where the headers name no other.
        body: Sent with its length; of pieces, chunked, unless the headers say the length.
        headers: Sent as they are.

    Raises:
        ConfigError: the path or a header cannot be written.
    """
    names = {name.lower() for name in headers}
    implied = {"Host": host, "Accept-Encoding": "identity"}
    is_chunked = False
    if body is None:
        if method in ("POST", "PUT", "PATCH"):
            implied["Content-Length"] = "0"
    elif isinstance(body, bytes):
        implied["Content-Length"] = str(len(body))
    elif "content-length" not in names:
        implied["Transfer-Encoding"] = "chunked"
        is_chunked = True
    given = {name: value for name, value in implied.items() if name.lower() not in names}
    head = _head(method, path, {**given, **headers})
    if body is None:
        yield head
    elif not isinstance(body, bytes):
        yield head
        yield from _chunks(body) if is_chunked else body
    elif len(body) <= WHOLE_BYTES:
        yield head + body
    else:
        yield head
        yield body


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    if _NO_PATH.search(path):
        raise ConfigError(f"path {path!r:.200}: it has a space or a control character; write it in per cent")
    for name, value in headers.items():
        if not _is_name(name) or _NO_VALUE.search(value):
            raise ConfigError(f"header {name!r:.100} cannot be sent: its name or its value holds what no header may")
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    try:
        return "\r\n".join(lines).encode("latin-1")
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"a header of {method} {path:.200} is not in Latin-1: {error.object[error.start]!r}"
        ) from error


@lru_cache(maxsize=256)  # programs send the same few names again and again
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _chunks(body: Iterable[bytes]) -> Iterator[bytes]:
    for piece in body:
        if piece:
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
