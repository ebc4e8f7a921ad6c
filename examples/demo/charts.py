"""The report's pictures: matplotlib figures as inline SVG that takes its text colour from the page."""

from __future__ import annotations

import base64
import io
import statistics
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FuncFormatter
from outcome import Outcome
from training import by_score

from skerry.pages.drawing import FAINT, INK, STYLE, new_figure, to_svg

BLUE, ORANGE, GREEN, RED = "#3b82c4", "#e08a2e", "#3f9e6b", "#d0524f"
SCORE_TICKS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
PHASES = ("fork", "confine", "import", "load")
KINDS = {"warm": GREEN, "cold": ORANGE, "burst": BLUE, "fresh": RED}


@mpl.rc_context(STYLE)
def draw_scores(outcome: Outcome) -> str:
    """Draw every candidate's mean validation score with the spread of its folds, one row per kind of model."""
    titles = by_score(outcome.results)
    figure, axes = new_figure(9.2, 0.44 * len(titles) + 1.0)
    lowest, highest = 1.0, 0.0
    for row, title in enumerate(titles):
        result = outcome.results[title]
        means, spread = result.cv_results["mean_test_score"], result.cv_results["std_test_score"]
        order = np.argsort(np.argsort(means, kind="stable"), kind="stable")
        offsets = row + (0.5 - order / max(1, len(means) - 1)) * 0.5 * (len(means) > 1)
        axes.errorbar(
            means, offsets, xerr=spread, fmt="o", color=BLUE, markersize=5, elinewidth=1, alpha=0.65, linestyle="none"
        )
        best = result.best_index
        axes.plot(
            means[best], offsets[best], "o", color=ORANGE, markersize=7 if title != outcome.winner else 10, zorder=3
        )
        lowest = min(lowest, float(np.nanmin(means - spread)))
        highest = max(highest, float(np.nanmax(means + spread)))
    axes.set_yticks(range(len(titles)), titles)
    axes.invert_yaxis()
    axes.set_xscale("function", functions=(_stretch, _unstretch))
    axes.set_xlim(max(0.0, lowest - 0.02), min(highest + (1 - highest) * 0.3, 0.9995))
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in SCORE_TICKS if low <= tick <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set_xlabel("validation rows right: mean of the folds, with their standard deviation (stretched towards 100 %)")
    axes.grid(axis="x", color=FAINT, linewidth=0.4, alpha=0.5)
    return to_svg(figure, "scores", "Validation scores of every candidate by kind of model")


@mpl.rc_context(STYLE)
def draw_arms(outcome: Outcome) -> str:
    """Draw the wall time of the search for each number of workers."""
    arms = outcome.arms
    figure, axes = new_figure(9.2, 0.5 * len(arms) + 0.9)
    for row, arm in enumerate(arms):
        axes.barh(row, arm.wall_s, height=0.55, color=BLUE if row == 0 else GREEN)
        note = f"{arm.wall_s:.2f} s"
        if row:
            note += f", {arms[0].wall_s / arm.wall_s:.2f} times as fast"
        axes.annotate(note, (arm.wall_s, row), (6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(arms)), [f"{arm.workers} worker{'s' if arm.workers > 1 else ''}" for arm in arms])
    axes.invert_yaxis()
    axes.set_xlim(0, max(arm.wall_s for arm in arms) * 1.35)
    axes.set_xlabel(f"seconds for {outcome.fits} fits")
    return to_svg(figure, "arms", "Wall time of the search by number of workers")


@mpl.rc_context(STYLE)
def draw_response_times(outcome: Outcome) -> str:
    """Draw every response time as a dot on a logarithmic scale, with the medians marked."""
    measured = outcome.measured
    groups = [
        ("warm worker", "warm", measured.took_ms("warm")),
        ("cold, from zero", "cold", measured.took_ms("cold")),
        ("burst, from zero", "burst", measured.took_ms("burst")),
        ("a new Python process", "fresh", measured.fresh_ms),
    ]
    figure, axes = new_figure(9.2, 3.1)
    jitter = np.random.default_rng(0)
    for row, (_title, kind, values) in enumerate(groups):
        axes.plot(
            values,
            row + jitter.uniform(-0.24, 0.24, len(values)),
            "o",
            color=KINDS[kind],
            markersize=3.5 if len(values) > 20 else 6,
            alpha=0.45 if len(values) > 20 else 0.85,
            markeredgewidth=0,
        )
        median = statistics.median(values)
        axes.plot([median, median], [row - 0.36, row + 0.36], color=INK, linewidth=1.6)
        axes.text(median, row - 0.4, _milliseconds(median), ha="center", va="bottom", fontsize=9)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _milliseconds(value)))
    axes.set_yticks(range(len(groups)), [title for title, _kind, _values in groups])
    axes.set_ylim(len(groups) - 0.4, -0.85)
    axes.set_xlabel("from sending the request to having the answer, as the client sees it (logarithmic)")
    axes.grid(axis="x", color=FAINT, linewidth=0.4, alpha=0.5)
    return to_svg(figure, "times", "Response times, warm and cold")


@mpl.rc_context(STYLE)
def draw_timeline(outcome: Outcome) -> str:
    """Draw the number of ready workers over time, with a mark for every request."""
    measured = outcome.measured
    figure, axes = new_figure(9.2, 2.9)
    steps = measured.workers()
    seconds = [at - measured.began_s for at, _count in steps]
    counts = [count for _at, count in steps]
    axes.step(seconds, counts, where="post", color=INK, linewidth=1.3)
    axes.fill_between(seconds, counts, step="post", color=BLUE, alpha=0.25, linewidth=0)
    top = max(counts)
    for row, kind in enumerate(("cold", "warm", "burst")):
        at = [call.at_s - measured.began_s for call in measured.calls if call.kind == kind]
        axes.plot(
            at, [-0.28 - 0.24 * row] * len(at), "|", color=KINDS[kind], markersize=8, alpha=0.8, label=f"{kind} request"
        )
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.set_ylim(-0.95, top + 0.3)
    axes.set_yticks(range(top + 1))
    axes.set_ylabel("ready workers")
    axes.set_xlabel("seconds since serving began")
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.2), ncols=3, handletextpad=0.2, fontsize=9)
    return to_svg(figure, "timeline", "Ready workers over time")


@mpl.rc_context(STYLE)
def draw_phases(outcome: Outcome) -> str:
    """Draw what the starts of workers were spent on: the median of each phase."""
    starts = outcome.measured.starts
    names = [name for name in PHASES if name in starts[0].phases_ms]
    medians = [statistics.median(start.phases_ms[name] for start in starts) for name in names]
    figure, axes = new_figure(9.2, 1.25)
    left = 0.0
    for name, median, color in zip(names, medians, (BLUE, RED, ORANGE, GREEN), strict=False):
        axes.barh(0, median, left=left, color=color, height=0.5, label=f"{name} {_milliseconds(median)}")
        left += median
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("milliseconds (median of the phase over all starts)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.95), ncols=4, fontsize=9, handlelength=1)
    return to_svg(figure, "phases", "Phases of a worker's start")


def draw_image(row: Any) -> str:
    """Return a row of pixels as a PNG in a data address, dark on light; the row must have a square number of them."""
    from matplotlib.image import imsave

    side = image_side(len(row))
    buffer = io.BytesIO()
    imsave(buffer, np.asarray(row).reshape(side, side), cmap="gray_r", format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def image_side(width: int) -> int:
    """Return the side of the square image that a row of this many numbers can be, or 0 when it cannot be one."""
    side = round(width**0.5)
    return side if side >= 4 and side * side == width else 0


def _stretch(score: Any) -> Any:
    """Give the last errors as much room as the first: 90 % to 99 % is as far as 99 % to 99.9 %."""
    return -np.log10(np.maximum(1 - np.asarray(score, dtype=float), 1e-4))


def _unstretch(place: Any) -> Any:
    return 1 - 10.0 ** -np.asarray(place, dtype=float)


def _milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:g} s" if value >= 10_000 else f"{value / 1000:.3g} s"
    return f"{value:.3g} ms"
