"""``skerry experiment compare``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(cls=Command, example="skerry experiment compare experiments/monday experiments/tuesday")
@click.argument("first", type=FOLDER)
@click.argument("second", type=FOLDER)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write a page as well.")
@json_option
@click.pass_obj
def compare(console: Console, first: Path, second: Path, output: Path | None) -> None:
    """Put two runs side by side: medians, and the ratio of the second to the first with its 95 % interval."""
    from skerry.pages.page import write_page
    from skerry.pages.words import say
    from skerry.testbed.experiments import MEASURES, read_results
    from skerry.testbed.experiments.report import compare_results, compare_to_json, render_comparison
    from skerry.testbed.experiments.report.words import say_ratio

    before, after = read_results(first), read_results(second)
    if output is not None:
        names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
        write_page(render_comparison(before, after, names), output)
    if console.as_json:
        console.json(compare_to_json(before, after))
        return
    rows = [
        [
            one.arm,
            one.measure,
            say(one.before, MEASURES[one.measure].unit),
            say(one.after, MEASURES[one.measure].unit),
            "-" if one.ratio is None else say_ratio(one.ratio),
        ]
        for one in compare_results(before, after)
    ]
    console.table(["ARM", "MEASURE", "FIRST", "SECOND", "SECOND BY FIRST"], rows)
    if output is not None:
        console.message(f"page: {output}")
