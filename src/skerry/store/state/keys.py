"""The names of states and of their keys: which are allowed, the same on every backend."""

from __future__ import annotations

import re

from skerry.errors import ConfigError

KEY_BYTES = 512
OWN = "@"  # begins the keys of locks, barriers and the like

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def check_group(app: str, name: str) -> str:
    """Return the group of an app's state.

    Raises:
        ConfigError: a name has characters that are not allowed.
    """
    for what, text in (("app", app), ("state", name)):
        if not isinstance(text, str) or not _NAME.fullmatch(text):
            raise ConfigError(
                f"{text!r:.100} is not the name of {'an' if what == 'app' else 'a'} {what}: use lower-case letters, "
                "digits and -, a letter first, no - last, at most 63"
            )
    return f"{app}/{name}"


def check_key(key: str) -> str:
    """Return a key that a function may write to, or refuse it.

    Raises:
        ConfigError: it is empty, too long, no text, or one that locks and barriers keep for themselves.
    """
    if isinstance(key, str) and key and not key.startswith(OWN) and _is_text(key):
        return key
    raise ConfigError(
        f"{key!r:.100} is not a key of a state: a key is a text of 1 to {KEY_BYTES} bytes without control characters, "
        f"and does not begin with {OWN}"
    )


def check_prefix(prefix: str) -> str:
    """Return what keys may begin with, or refuse it.

    Raises:
        ConfigError: it is too long or no text.
    """
    if isinstance(prefix, str) and _is_text(prefix):
        return prefix
    raise ConfigError(f"no key of a state begins with {prefix!r:.100}: keys are texts of at most {KEY_BYTES} bytes")


def own_key(kind: str, name: str) -> str:
    """Return the key of a lock, a barrier or the like.

    Args:
        kind: What it is.
        name: Its name; checked as a key is.
    """
    return check_prefix(f"{OWN}{kind}/{check_key(name)}")


def _is_text(text: str) -> bool:
    try:
        return len(text.encode()) <= KEY_BYTES and text.isprintable()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
