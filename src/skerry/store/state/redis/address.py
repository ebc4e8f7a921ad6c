"""The address of a Redis, with and without its secrets."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, urlencode, urlsplit

from skerry.errors import ConfigError
from skerry.spec import STATE_PASSWORD_VARIABLE, has_password

_TOLD = ("db",)  # what of the part behind the question mark is no secret


def without_secrets(url: str) -> str:
    """Return an address as it may be shown: without user, password and parameters.

    Args:
        url: The whole address.

    Raises:
        ConfigError: it is no address; the message repeats none of it.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = "" if parts.port is None else f":{parts.port}"
        query = urlencode({name: values[-1] for name, values in parse_qs(parts.query).items() if name in _TOLD})
    except ValueError:
        raise ConfigError("the address of the state is not of the form redis://HOST:PORT/DATABASE") from None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{port}{parts.path}{'?' if query else ''}{query}"


def password_of(url: str) -> str | None:
    """Return the password that the environment has for an address without one."""
    return None if has_password(url) else os.environ.get(STATE_PASSWORD_VARIABLE)
