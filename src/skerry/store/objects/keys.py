"""The names of objects: which are allowed, the same on every backend."""

from __future__ import annotations

import re

from skerry.errors import ConfigError

KEY_BYTES = 512
SEGMENT_BYTES = 200  # file systems end at 255, and what a backend adds to a name needs some of it

_SEGMENT = re.compile(r"[A-Za-z0-9._=+-]+")
_WHAT_A_KEY_IS = (
    "a key is one or more segments of A-Z a-z 0-9 . _ = + - with / between them, none of them . or .., "
    f"a segment at most {SEGMENT_BYTES} and a key at most {KEY_BYTES} bytes long"
)


def check_key(key: str) -> str:
    """Return the key, or refuse it before anything is read or written.

    Args:
        key: A relative POSIX path, such as ``models/digits/1/model.onnx``.

    Raises:
        ConfigError: It is not a key.
    """
    if isinstance(key, str) and is_key(key):
        return key
    raise ConfigError(f"{_shown(key)} is not the key of an object: {_WHAT_A_KEY_IS}")


def check_prefix(prefix: str) -> str:
    """Return what keys may begin with, or refuse it: whole segments, and then the beginning of one, or nothing.

    Raises:
        ConfigError: No key can begin so.
    """
    if isinstance(prefix, str) and len(prefix) <= KEY_BYTES:
        *whole, begun = prefix.split("/")
        if all(map(is_segment, whole)) and len(begun) <= SEGMENT_BYTES and (not begun or _SEGMENT.fullmatch(begun)):
            return prefix
    raise ConfigError(f"no key of an object begins with {_shown(prefix)}: {_WHAT_A_KEY_IS}")


def is_key(text: str) -> bool:
    """Whether a text is the key of an object."""
    return len(text) <= KEY_BYTES and all(map(is_segment, text.split("/")))


def is_segment(text: str) -> bool:
    """Whether a text can stand between two slashes of a key."""
    return bool(_SEGMENT.fullmatch(text)) and text not in {".", ".."} and len(text) <= SEGMENT_BYTES


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}… ({len(text)} characters)"
