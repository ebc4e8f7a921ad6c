"""Text between double quotes, as YAML, TOML and JSON all read it."""

from __future__ import annotations

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


def _escaped(character: str, *, escape_blanks: bool) -> str:
    if character in _SHORT:
        return _SHORT[character]
    plain = "!" <= character <= "~" if escape_blanks else character.isprintable()
    if plain:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
