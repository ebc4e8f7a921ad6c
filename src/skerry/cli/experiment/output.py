"""What the commands about experiments have in common: how results are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.cli.console import Console
    from skerry.testbed.experiments import Results

REPORT = "report.html"
SHOWN = 4


def show_medians(console: Console, results: Results) -> None:
    """Show the medians of the most important measures, one row per arm."""
    from skerry.pages.words import say
    from skerry.testbed.experiments import MEASURES

    measures = results.manifest.measures[:SHOWN]
    rows = []
    for arm in results.arm_names():
        medians = {measure: results.median(arm, measure) for measure in measures}
        cells = ["-" if value is None else say(value, MEASURES[name].unit) for name, value in medians.items()]
        rows.append([arm, *cells, str(len(results.values(arm, "wall_s")))])
    console.table(["ARM", *(MEASURES[name].title.upper() for name in measures), "TRIALS"], rows)
    for failure in results.failures:
        console.message(f"failed: {failure.arm}, repeat {failure.repeat + 1}: {failure.error}")
