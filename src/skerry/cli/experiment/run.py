"""``skerry experiment run``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skerry.cli.console import Console
from skerry.cli.experiment.clusters import choose_arms, cluster_options
from skerry.cli.experiment.output import REPORT, show_medians
from skerry.cli.options import Command, json_option
from skerry.cli.termination import ended_in_order
from skerry.errors import ConfigError

if TYPE_CHECKING:
    from skerry.testbed.experiments import Experiment, Progress
    from skerry.testbed.experiments.cluster_place import ClusterChoice
    from skerry.testbed.experiments.running import Watch

QUICK_REPEATS = 2


@click.command(
    cls=Command,
    example="skerry experiment run 6g-training --quick\nskerry experiment run 6g-training --repeats 20\n"
    "skerry experiment run mine.py --without-links --set articles=seed",
)
@click.argument("name")
@click.option("--repeats", type=click.IntRange(min=1), help="How often each arm runs.  [default: the experiment's]")
@click.option("--quick", is_flag=True, help=f"Small data and {QUICK_REPEATS} repeats: a minute or so.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="[default: experiments/NAME]")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="Set an option of the experiment.")
@click.option("--arm", "arms", multiple=True, metavar="ARM", help="Run this arm only; may be given several times.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the order and of what trials draw.")
@click.option("--topology", metavar="FILE", help="Another network than the experiment's.")
@click.option("--without-links", is_flag=True, help="Plain engines on this machine: no network, and no need for root.")
@click.option("--relays", is_flag=True, help="Relays stand for the links: approximate, and no need for root.")
@cluster_options
@json_option
@click.pass_obj
def run(  # noqa: PLR0913, PLR0917  # each is an option of the command
    console: Console,
    name: str,
    repeats: int | None,
    quick: bool,
    folder: Path | None,
    settings: tuple[str, ...],
    arms: tuple[str, ...],
    seed: int,
    topology: str | None,
    without_links: bool,
    relays: bool,
    clusters: ClusterChoice | None,
) -> None:
    """Run an experiment, or what is missing of it, and write its report.

    NAME is one of `skerry experiment list`, or FILE.py[:NAME] with an Experiment of your own. With --json, one object
    is printed: the experiment, the environment, and the numbers of every arm. When a trial has failed, the exit code is
    1; once more does what is missing.
    """
    from skerry.testbed.experiments import Settings, load_experiment, run_experiment
    from skerry.testbed.experiments.places import choose_place

    experiment, target = load_experiment(name)
    options = {**(experiment.quick if quick else {}), **_parse(settings)}
    folder = folder or Path("experiments") / (f"{experiment.name}-quick" if quick else experiment.name)
    place = choose_place(
        experiment, folder, topology=topology, without_links=without_links, relays=relays, clusters=clusters
    )
    try:
        with _show(console, experiment) as watch, ended_in_order():
            results = run_experiment(
                experiment,
                target,
                folder,
                place,
                Settings(
                    repeats=repeats or (QUICK_REPEATS if quick else experiment.repeats),
                    seed=seed,
                    options=options,
                    arms=choose_arms(experiment, arms, clusters),
                    watch=watch,
                ),
                place_name=place.name,
            )
    except KeyboardInterrupt:
        console.message(f"interrupted; what was measured is in {folder}, and the same command does the rest")
        raise
    report = _write_report(console, folder) if results.trials else None
    if console.as_json:
        console.json(results.to_json())
    else:
        show_medians(console, results)
        console.message(f"results: {folder}" + (f"   report: {report}" if report else ""))
    if results.failures:
        click.get_current_context().exit(1)


def _write_report(console: Console, folder: Path) -> Path | None:
    """Write the report, or say why there is none: hours of trials are not lost over a missing library."""
    from skerry.pages.page import write_page
    from skerry.testbed.experiments import read_results
    from skerry.testbed.experiments.report import render_report

    try:
        return write_page(render_report(read_results(folder)), folder / REPORT)
    except ConfigError as error:
        console.message(f"no report: {error.message}; then: skerry experiment report {folder}")
        return None


def _parse(settings: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for setting in settings:
        option, equals, value = setting.partition("=")
        if not equals or not option:
            raise ConfigError(f"--set {setting}: write OPTION=VALUE")
        found[option] = value
    return found


@contextmanager
def _show(console: Console, experiment: Experiment) -> Iterator[Watch]:
    """Show a progress bar on stderr; a line per trial where there is no terminal."""
    if not sys.stderr.isatty():
        yield partial(_print_line, console)
        return
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from skerry.cli.words import words

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}", markup=False),
    )
    with Bar(*columns, console=Terminal(stderr=True)) as bar:
        line = bar.add_task(experiment.name, total=None, now="the sites start")

        def watch(progress: Progress) -> None:
            now = "" if progress.next is None else f"repeat {progress.next.repeat + 1}: {progress.next.arm}"
            bar.update(line, completed=progress.done, total=progress.total, now=now)
            if progress.last is not None and progress.last.error is not None:
                said = f"{progress.last.arm}, repeat {progress.last.repeat + 1}: {progress.last.error}"
                bar.console.print(words(said))

        yield watch


def _print_line(console: Console, progress: Progress) -> None:
    last = progress.last
    if last is None:
        return
    took = last.values.get("response_time_s", last.values["wall_s"])
    said = f"{took:.2f} s" if last.error is None else last.error
    console.message(f"{progress.done}/{progress.total}  {last.arm}, repeat {last.repeat + 1}: {said}")
