"""Whose pages may call: what a browser says of the page that a request comes from."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from skerry.errors import UnauthorizedError
from skerry.runtime.reading import Headers


def header(headers: Headers, name: bytes) -> str | None:
    """Return the last header of a name (in lower case)."""
    found = None
    for key, value in headers:
        if key == name:
            found = value.decode("latin-1")
    return found


def refuse_foreign_origin(headers: Headers) -> None:
    """Refuse what a page of another site sends: a browser would let any page call a server on loopback.

    A page whose name its owner has pointed at this machine (DNS rebinding) says the same in both headers: a page is
    trusted only at an address, or at localhost.

    Raises:
        UnauthorizedError: it comes from such a page.
    """
    origin = header(headers, b"origin")
    if origin is None:
        return
    host = (header(headers, b"host") or "").lower()
    if _authority(origin) != host or not _is_address(host):
        raise UnauthorizedError(f"requests from pages of {origin} are not accepted")


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # not a URL, so nobody's own page
        return ""


def _is_address(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
