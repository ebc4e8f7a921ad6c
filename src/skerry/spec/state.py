"""Where states are kept, as settings name it: an address that may be shown, and so holds no password."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from skerry.errors import SpecError

STATE_VARIABLE = "SKERRY_STATE"
STATE_PASSWORD_VARIABLE = "SKERRY_STATE_PASSWORD"  # noqa: S105  # the name of a variable, not what is in it

_SHARED = ("redis", "rediss")


def has_password(url: str) -> bool:
    """Return whether an address has a password in it, or may have one: it cannot be read."""
    try:
        parts = urlsplit(url)
        return bool(parts.password) or "password" in parse_qs(parts.query)
    except ValueError:
        return True


def check_state_url(url: object, *, where: str) -> str:
    """Return an address of states that settings give; it is shown by `describe` and in rendered objects.

    Args:
        url: The address.
        where: Where it stands, for the message.

    Raises:
        SpecError: it is no text, or has a password. The message does not repeat it.
    """
    if not isinstance(url, str) or not url:
        raise SpecError(f"{where}: expected an address, like redis://HOST:PORT/DATABASE", field="url")
    if has_password(url):
        raise SpecError(
            f"{where}: an address of states that stands in settings can be read by many: leave the password out, and "
            f"put it into the variable {STATE_PASSWORD_VARIABLE} of the engine, or of a Secret on a cluster",
            field="url",
        )
    return url


def is_shared(url: str) -> bool:
    """Return whether an address means the same on every machine: a server's, and no file's or socket's."""
    return urlsplit(url).scheme in _SHARED
