"""A run as a person watches it: what the terminal shows, from what is known of the run at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from skerry.cli.units import duration
from skerry.cli.words import words
from skerry.testbed.load.progress import EDGES_NS

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HISTORY = 60
# From here on, the generator's own lateness is shown as an alarm.
_LATE_RATIO = 0.01


class View:
    """What is shown, and the short history that it needs.

    Args:
        target: What is asked.
        duration_s: How long the run takes.
    """

    def __init__(self, target: str, duration_s: float) -> None:
        self._target = target
        self._duration_s = duration_s
        self._rates: list[float] = []

    def draw(self, progress: Mapping[str, Any]) -> Group:
        """Return the picture of one moment.

        Args:
            progress: A `Progress` as JSON.
        """
        self._rates = [*self._rates[-_HISTORY + 1 :], progress["achieved_per_s"]]
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_row("rate", self._rate(progress))
        grid.add_row("", Text(sparkline(self._rates), style="cyan"))
        grid.add_row("in flight", f"{progress['in_flight']:,} on {progress['connections']:,} connections")
        grid.add_row("latency", _latency(progress))
        bars, left, right = trimmed(progress["bars"])
        grid.add_row("", Text(f"{left} {bars} {right}" if bars else "no answer yet", style="cyan"))
        grid.add_row("errors", _errors(progress["errors"]))
        if progress["late_ratio"] > _LATE_RATIO:
            grid.add_row("", Text(f"{progress['late_ratio']:.1%} sent late: the generator cannot keep up", "bold red"))
        return Group(self._title(progress), grid)

    def _title(self, progress: Mapping[str, Any]) -> Text:
        elapsed_s = progress["elapsed_s"]
        phase = "warming up" if progress["warming_up"] else "measuring"
        if elapsed_s > self._duration_s:
            phase = "waiting for the last answers"
        return Text.assemble(
            words(self._target, "bold"),
            f"  {min(elapsed_s, self._duration_s):.0f} of {self._duration_s:.0f} s  ",
            (phase, "dim"),
        )

    @staticmethod
    def _rate(progress: Mapping[str, Any]) -> str:
        asked = progress["asked_per_s"]
        before = "" if asked is None else f"asked {asked:,.0f}/s   "
        return f"{before}sent {progress['sent_per_s']:,.0f}/s   answered {progress['achieved_per_s']:,.0f}/s"


def sparkline(values: list[float]) -> str:
    """Return values as a line of blocks, the largest one the highest."""
    most = max(values, default=0)
    if most <= 0:
        return _BLOCKS[1] * len(values)
    return "".join(_BLOCKS[max(1, round(value / most * (len(_BLOCKS) - 1)))] for value in values)


def trimmed(bars: list[int]) -> tuple[str, str, str]:
    """Return the bars of a histogram from the first to the last that holds something, and the times at both ends."""
    filled = [index for index, bar in enumerate(bars) if bar]
    if not filled:
        return "", "", ""
    first, last = filled[0], filled[-1]
    most = max(bars)
    # A bar of one request is still to be seen.
    blocks = "".join(_BLOCKS[-(-bar * (len(_BLOCKS) - 1) // most)] for bar in bars[first : last + 1])
    low_ns = EDGES_NS[first - 1] if first else 0
    return blocks, duration(low_ns / 1e9), duration(EDGES_NS[min(last, len(EDGES_NS) - 1)] / 1e9)


def _latency(progress: Mapping[str, Any]) -> str:
    names = {"p50": "p50_s", "p90": "p90_s", "p99": "p99_s", "max": "max_s"}
    return "   ".join(f"{name} {_time(progress[key])}" for name, key in names.items())


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)


def _errors(errors: Mapping[str, int]) -> Text:
    if not errors:
        return Text("none", style="green")
    return Text("   ".join(f"{kind} {count:,}" for kind, count in errors.items()), style="red")
