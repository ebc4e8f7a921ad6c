"""``skerry federate report``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.federate.options import folder_argument
from skerry.cli.options import Command, json_option

REPORT = "report.html"


@click.command(
    cls=Command,
    example="skerry federate report runs/digits-1\nskerry federate report runs/digits-1 --output digits.html",
)
@folder_argument
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: FOLDER/report.html]")
@json_option
@click.pass_obj
def report(console: Console, folder: Path, output: Path | None) -> None:
    """Write the report of a run, however far it has come: one HTML file that needs nothing else.

    It shows the global model and each client round by round, times, bytes, refusals, and the plan. With --json, the
    numbers are printed instead and no file is written.
    """
    from skerry.learn.federated.record.run_view import read_run
    from skerry.learn.federated.report.page import render_report
    from skerry.pages.page import write_page

    view = read_run(folder)
    if console.as_json:
        console.json(view.to_json())
        return
    console.message(f"report: {write_page(render_report(view), output or folder / REPORT)}")
