"""The report's pictures: distributions as boxes, phases as stacked bars."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from skerry.pages.drawing import COLORS, FAINT, INK, STYLE, new_figure, to_svg
from skerry.pages.words import Unit, say
from skerry.testbed.experiments.curves import Curves

LOG_FROM = 8.0  # a scale that spans more than this is logarithmic


def draw_boxes(groups: Mapping[str, Sequence[float]], unit: Unit, *, name: str, title: str) -> str:
    """Draw one box plot per group, with every value as a dot.

    Args:
        groups: Values by the name of the group, in the order of the rows.
        unit: Of the values.
        name: A word that no other picture of the page has.
        title: What the picture shows, for who cannot see it.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, axes = new_figure(9.2, 0.52 * len(groups) + 1.0)
        jitter = random.Random(name)
        for row, (values, color) in enumerate(zip(groups.values(), _cycle(), strict=False)):
            axes.boxplot(
                list(values),
                positions=[row],
                orientation="horizontal",
                widths=0.55,
                showfliers=False,
                patch_artist=True,
                boxprops={"facecolor": color, "alpha": 0.35, "edgecolor": color},
                medianprops={"color": INK, "linewidth": 1.8},
                whiskerprops={"color": color},
                capprops={"color": color},
            )
            heights = [row + jitter.uniform(-0.17, 0.17) for _ in values]
            axes.plot(values, heights, "o", color=color, markersize=3.6, alpha=0.75, markeredgewidth=0)
        axes.set_yticks(range(len(groups)), list(groups))
        axes.invert_yaxis()
        _scale(axes, [value for values in groups.values() for value in values], unit)
        axes.grid(axis="x", color=FAINT, linewidth=0.4, alpha=0.5)
        return to_svg(figure, name, title)


def draw_stacks(rows: Mapping[str, Mapping[str, float]], *, name: str, title: str) -> str:
    """Draw one stacked bar per row.

    Args:
        rows: Seconds by part, by the name of the row; every row has the same parts.
        name: A word that no other picture of the page has.
        title: What the picture shows, for who cannot see it.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        longest = max((sum(parts.values()) for parts in rows.values()), default=1.0) or 1.0
        figure, axes = new_figure(9.2, 0.46 * len(rows) + 1.3)
        for row, parts in enumerate(rows.values()):
            left = 0.0
            for number, (part, value) in enumerate(parts.items()):
                axes.barh(
                    row, value, left=left, height=0.6, color=COLORS[number % len(COLORS)], label="" if row else part
                )
                left += value
            axes.annotate(say(left, "s"), (left, row), (5, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.set_xlim(0, longest * 1.12)
        axes.xaxis.set_major_formatter(lambda value, _: say(value, "s") if value else "0")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, fontsize=9, handlelength=1, columnspacing=1.2)
        return to_svg(figure, name, title)


def draw_lines(curves: Curves) -> str:
    """Draw lines, with their names in a legend and a dotted line for each mark."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, axes = new_figure(9.2, 3.6)
        shown = {label: points for label, points in curves.lines.items() if points}
        for (label, points), color in zip(shown.items(), _cycle(), strict=False):
            across, up = zip(*points, strict=True)
            axes.plot(across, up, color=color, label=label, linewidth=1.6, marker="o", markersize=2.6)
        for label, level in curves.marks.items():
            axes.axhline(level, color=FAINT, linewidth=1.0, linestyle=":")
            axes.annotate(
                label,
                (1, level),
                (-2, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize=9,
            )
        axes.set_xlabel(curves.across)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter(lambda value, _: say(value, curves.unit))
        axes.grid(axis="y", color=FAINT, linewidth=0.4, alpha=0.5)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, fontsize=9, handlelength=1.4, columnspacing=1.2)
        return to_svg(figure, curves.name, curves.title)


def _scale(axes: Any, values: Sequence[float], unit: Unit) -> None:
    low, high = min(values), max(values)
    if unit in ("s", "bytes") and low > 0 and high / low > LOG_FROM:
        axes.set_xscale("log")
        ticks = [
            step * 10.0**power
            for power in range(-9, 13)
            for step in ((1, 2, 5) if high / low < 1000 else (1,))
            if low / 1.3 <= step * 10.0**power <= high * 1.3
        ]
        axes.set_xticks(ticks)
        axes.minorticks_off()
        axes.set_xlabel("logarithmic scale")
    axes.xaxis.set_major_formatter(lambda value, _: say(value, unit))


def _cycle() -> Sequence[str]:
    return COLORS * 8
