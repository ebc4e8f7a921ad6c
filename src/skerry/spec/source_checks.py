"""What may stand in the description of a source; refusals repeat no secret."""

from __future__ import annotations

import re
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from skerry.errors import SpecError

VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SignsIn(Protocol):
    """A source that signs in somewhere."""

    @property
    def password_variable(self) -> str | None:
        """Variable in which the password is."""

    @property
    def certificate(self) -> str | None:
        """File with its certificate."""

    @property
    def key(self) -> str | None:
        """File with its private key."""


def check_text(source: Any, *names: str) -> None:
    """Raise `SpecError` where a field is empty, or has control characters."""
    for name in names:
        text = getattr(source, name)
        if not text or not text.isprintable():
            raise SpecError(f"{name} = {text!r}: must be text that is not empty", field=name)


def refuse_password(url: str) -> None:
    """Raise `SpecError` where an address has a user or a password in it; the message does not repeat it."""
    # The message repeats no part of the address: it may be the secret.
    place, _, options = url.partition("?")
    if "@" in place or (url.startswith("s3:") and "@" in unquote(options)):  # an endpoint is an address too
        raise SpecError(
            "url: an address that stands in an app can be read by many: leave user and password out", field="url"
        )


def check_address(url: str, *, schemes: tuple[str, ...]) -> None:
    """Raise `SpecError` where a text is no address of a server, with one of some schemes."""
    refuse_password(url)
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in schemes and parts.hostname and parts.path in ("", "/") and not parts.query
        port = parts.port or 1
    except ValueError:
        is_right, port = False, 1
    if not is_right or port < 1:
        forms = " or ".join(f"{scheme}://HOST[:PORT]" for scheme in schemes)
        raise SpecError(f"url = {url!r}: write {forms}", field="url")


def check_sign_in(source: SignsIn) -> None:
    """Raise `SpecError` where what a source signs in with is not of its form; the message repeats no secret."""
    if source.password_variable is not None and not VARIABLE.fullmatch(source.password_variable):
        # It may be the password itself, by mistake: it is not repeated.
        raise SpecError(
            "password_variable: give the name of an environment variable of the engine, like PLANT_PASSWORD",
            field="password_variable",
        )
    if (source.certificate is None) != (source.key is None):
        raise SpecError("certificate and key go together: give both", field="certificate")


def check_topic(topic: str) -> None:
    """Raise `SpecError` where a text is no filter of MQTT topics."""
    levels = topic.split("/")
    is_right = bool(topic) and "\0" not in topic and len(topic.encode("utf-8", "replace")) <= 65_535
    for number, level in enumerate(levels):
        is_right = is_right and (level in ("+", "#") or not set(level) & {"+", "#"})
        is_right = is_right and (level != "#" or number == len(levels) - 1)
    if not is_right:
        raise SpecError(f"topics: {topic!r} is none: + stands for one level, # for all that follow", field="topics")
