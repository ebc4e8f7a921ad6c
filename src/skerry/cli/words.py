"""Words from elsewhere as a drawing takes them."""

from __future__ import annotations

from rich.text import Text

from skerry.spec.characters import show_control


def words(text: object, style: str = "") -> Text:
    """Return text of one line that is drawn as it is: neither markup nor an order to the terminal."""
    return Text(show_control(str(text), keep=""), style=style)
