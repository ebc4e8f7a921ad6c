"""Pictures of a page: matplotlib figures as inline SVG that takes its colours from the page."""

from __future__ import annotations

import html
import io
import re
from typing import Any

from skerry.errors import ConfigError

# Drawn in these colours and replaced afterwards: matplotlib knows no CSS, and the page may be light or dark.
INK, FAINT = "#010203", "#040506"
COLORS = ("#3b82c4", "#e08a2e", "#3f9e6b", "#8a63c9", "#d0524f", "#4aa8b0", "#b0813f", "#8792a2")
STYLE: Any = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def require_matplotlib() -> None:
    """Refuse to draw without the library that draws.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise ConfigError('a report needs matplotlib: pip install "skerry[report]"') from error


def new_figure(width_in: float, height_in: float) -> tuple[Any, Any]:
    """Return a figure of that size with one pair of axes, which are laid out when it is written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    return figure, figure.add_subplot()


def to_svg(figure: Any, name: str, title: str) -> str:
    """Return a figure as SVG for a page: text as text, colours from the page, names that no other picture has."""
    import matplotlib as mpl

    prefix = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Title": title})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", svg)
    svg = re.sub(r'id="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}-", svg)
    opening = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'role="img" aria-label="{html.escape(title)}" '
    )
    return re.sub(r'<svg [^>]*?(viewBox="[^"]+")[^>]*>', lambda found: f"{opening}{found[1]}>", svg, count=1)
