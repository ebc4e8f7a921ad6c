"""Text between double quotes, as YAML, TOML and JSON all read it."""

from __future__ import annotations

import json
from typing import Any

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quote(text: str, *, escape_blanks: bool = False) -> str:
    r"""Return a text between double quotes.

    Args:
        text: Any text that UTF-8 can hold.
        escape_blanks: Whether blanks, and all but ASCII, are escaped too.

    Example:
        ``quote('say "hi"')`` is ``"say \"hi\""``.
    """
    return '"' + "".join(_escaped(character, escape_blanks=escape_blanks) for character in text) + '"'


def to_json(value: Any) -> str:
    """Return a value as JSON that readers of YAML take too: a body of server-side apply is read as YAML.

    Those know no pairs of surrogates, by which JSON escapes what is beyond 16 bits, and take no control characters as
    they are.
    """
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else "".join(_escaped_alone(character) for character in text)


def _escaped_alone(character: str) -> str:
    is_plain = character.isprintable() or ord(character) > 0xFFFF
    return character if is_plain else f"\\u{ord(character):04x}"


def _escaped(character: str, *, escape_blanks: bool) -> str:
    if character in _SHORT:
        return _SHORT[character]
    plain = "!" <= character <= "~" if escape_blanks else character.isprintable()
    if plain:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
