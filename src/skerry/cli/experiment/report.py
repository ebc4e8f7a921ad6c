"""``skerry experiment report``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.experiment.output import REPORT, show_medians
from skerry.cli.options import Command, json_option


@click.command(cls=Command, example="skerry experiment report experiments/6g-training")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: FOLDER/report.html]")
@json_option
@click.pass_obj
def report(console: Console, folder: Path, output: Path | None) -> None:
    """Make the report of a run again, finished or not: one HTML file that needs nothing else.

    With --json, the numbers are printed instead and no file is written.
    """
    from skerry.pages.page import write_page
    from skerry.testbed.experiments import read_results
    from skerry.testbed.experiments.report import render_report

    results = read_results(folder)
    if console.as_json:
        console.json(results.to_json())
        return
    path = write_page(render_report(results), output or folder / REPORT)
    show_medians(console, results)
    console.message(f"report: {path}")
