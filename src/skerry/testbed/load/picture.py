"""A run as a picture: its percentile curve, its rates, and its latency over time."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.errors import ConfigError

if TYPE_CHECKING:
    from skerry.testbed.load.result import LoadResult, Times

_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#3b82c4", "#e08a2e", "#3f9e6b", "#d0524f", "#808080"
_STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.size": 9,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
# The ends of the percentile curve's axis, in nines: 0 is the least, 2 is 99 %, 4 is 99.99 %.
_TICKS = {0.0: "0", 0.5: "50", 0.9: "90", 0.99: "99", 0.999: "99.9", 0.9999: "99.99", 0.99999: "99.999"}


def check_picture(path: Path) -> None:
    """Check that a picture can be drawn into a file, before a run and not after it.

    Raises:
        ConfigError: matplotlib is not installed, there is no such folder, or the name is that of another format.
    """
    if path.suffix.lower() not in {"", ".png"}:
        raise ConfigError(f"picture {path}: pictures are PNG files", hint=f"name it {path.with_suffix('.png')}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"picture {path}: there is no folder {path.parent}", hint="make it, or name another one")
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError("a picture needs matplotlib", hint='install it with pip install "skerry[report]"')


def draw(result: LoadResult, path: Path) -> None:
    """Draw a run into a PNG file.

    Args:
        result: The run.
        path: The file; it is replaced.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    check_picture(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 7.2), layout="constrained")
        axes = figure.subplot_mosaic([["curve", "curve"], ["rate", "latency"]], height_ratios=[1.1, 1])
        _draw_curve(axes["curve"], result)
        _draw_rates(axes["rate"], result)
        _draw_latency(axes["latency"], result)
        kept = "" if result.kept_schedule else "  (the generator did not keep its schedule)"
        plan = f", {result.plan}" if result.loop == "open" else ""
        figure.suptitle(f"{result.target}: {result.loop} loop{plan}{kept}", fontsize=12)
        try:
            figure.savefig(path, format="png", dpi=120)
        except OSError as error:
            raise ConfigError(f"picture {path}: {error.strerror}") from error


def _draw_curve(axes: Any, result: LoadResult) -> None:
    nines = 1.0
    for label, times, color in (
        ("latency, from the intended moment", result.latency, _BLUE),
        ("service time, from the sending", result.service_time, _ORANGE),
        ("lateness of the generator", result.lateness if result.loop == "open" else None, _GREY),
    ):
        points = _points(times)
        if points:
            nines = max(nines, points[-1][0])
            style = ":" if color == _GREY else "-"
            axes.plot([x for x, _ in points], [y * 1e3 for _, y in points], style, color=color, label=label)
    ticks = {-math.log10(1 - share): name for share, name in _TICKS.items() if -math.log10(1 - share) <= nines + 0.2}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xlabel("percentile")
    axes.set_ylabel("ms")
    axes.set_yscale("log")
    axes.set_title(f"{result.latency.count:,} good answers")
    axes.legend(loc="best")


def _points(times: Times | None) -> list[tuple[float, float]]:
    if times is None or not times.count:
        return []
    # The end of the curve: the slowest of n requests is drawn where the share 1 - 1/n lies.
    end = 1 - 1 / (2 * times.count)
    return [(-math.log10(1 - min(share, end)), max(value_s, 1e-7)) for share, value_s in times.curve]


def _draw_rates(axes: Any, result: LoadResult) -> None:
    at_s = [moment.start_s for moment in result.timeline]
    if result.loop == "open":
        asked = [moment.asked_per_s for moment in result.timeline]
        axes.step(at_s, asked, where="post", color=_GREY, linewidth=1, label="asked")
    good = [moment.succeeded_per_s for moment in result.timeline]
    axes.step(at_s, good, where="post", color=_GREEN, linewidth=1.5, label="answered")
    failed = [moment.failed_per_s for moment in result.timeline]
    if any(failed):
        axes.step(at_s, failed, where="post", color=_RED, linewidth=1.5, label="failed")
    axes.set_ylim(bottom=0)
    axes.set_title("requests per second")
    _finish(axes, result)


def _draw_latency(axes: Any, result: LoadResult) -> None:
    moments = [moment for moment in result.timeline if moment.p50_s is not None and moment.p99_s is not None]
    at_s = [moment.start_s for moment in moments]
    for name, color in (("p50", _BLUE), ("p99", _ORANGE)):
        values = [1e3 * getattr(moment, f"{name}_s") for moment in moments]
        axes.step(at_s, values, where="post", color=color, linewidth=1.5, label=name)
    axes.set_yscale("log")
    axes.set_title("latency (ms), by the moment of asking")
    _finish(axes, result)


def _finish(axes: Any, result: LoadResult) -> None:
    if result.warm_up_s:
        axes.axvspan(0, result.warm_up_s, color=_GREY, alpha=0.15, linewidth=0, label="warm-up")
    axes.set_xlabel("seconds")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best")
