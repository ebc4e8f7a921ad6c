"""Characters that are no text: a terminal obeys them, and they make lines look like what they are not."""

from __future__ import annotations

import re

_LINES = "\n\t"
# Controls (C0, delete, C1), marks that turn the direction of writing, other ends of lines, and halves of characters.
_COLOUR = re.compile("(\x1b\\[[0-9;:]*m)")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def has_control(text: str) -> bool:
    """Return whether a text holds a character that is no text; ends of lines and tabs are such too."""
    return _CONTROL.search(text) is not None


def show_control(text: str, keep: str = _LINES) -> str:
    r"""Return a text with the characters that are no text written out, like ``\x1b``.

    Args:
        text: From anywhere.
        keep: Those that are left as they are.
    """
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def show_printed(text: str, keep: str = _LINES) -> str:
    """Return what a program has printed as `show_control` does, with its colours as they are."""
    parts = _COLOUR.split(text)
    return "".join(part if i % 2 else show_control(part, keep) for i, part in enumerate(parts))
