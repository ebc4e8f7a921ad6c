"""``skerry models choose``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.models.options import complete_reference, nudge_engine, open_repository, store_options
from skerry.cli.options import Command, json_option
from skerry.cli.units import size
from skerry.spec import parse_duration


@click.command(cls=Command, example="skerry models choose digits --objective 5ms --floor 0.97 --alias candidate")
@click.argument("name", shell_complete=complete_reference)
@click.option("--objective", default="50ms", show_default=True, help="Time in which a request is to be answered.")
@click.option("--floor", type=click.FloatRange(0, 1), help="Least share of right answers.  [default: any]")
@click.option("--rows", type=click.IntRange(min=1), default=1, show_default=True, help="Rows of a request.")
@click.option("--cold", is_flag=True, help="Count the load of the model too: the first answer from zero.")
@click.option("--alias", help="Point this alias at what was chosen.")
@store_options
@json_option
@click.pass_obj
def choose(  # noqa: PLR0913, PLR0917  # each is an option of the command
    console: Console,
    name: str,
    objective: str,
    floor: float | None,
    rows: int,
    cold: bool,
    alias: str | None,
    home: Path,
    store: str | None,
) -> None:
    """Choose the cheapest version of a model that was measured to be quick and right enough.

    Versions that `skerry models optimise` has made, and those that they were made from, have measured figures.
    """
    from skerry.serve.choosing import choose_version, measured_variants

    objective_s = parse_duration(objective, key="objective")
    repository = open_repository(home, store)
    version, choice = choose_version(
        repository, name, objective_s=objective_s, floor=floor, rows=rows, is_loaded=not cold
    )
    variants = measured_variants(repository, name, is_loaded=not cold)
    if alias is not None:
        repository.set_alias(name, alias, version, action="choose", reason=f"objective {objective}, floor {floor}")
        nudge_engine(home)
    if console.as_json:
        reasons = dict(choice.reasons)
        console.json({"name": name, "version": version, "alias": alias, "others": reasons})
        return
    console.table(
        ["VERSION", "SIZE", "LOAD", "ANSWER", "SCORE", "WHY NOT"],
        [
            [
                str(number),
                size(one.memory_bytes),
                f"{one.load_s * 1000:.1f} ms",
                f"{one.answer_s(rows) * 1000:.2f} ms",
                "-" if one.accuracy_ratio is None else f"{one.accuracy_ratio:.4f}",
                choice.reasons.get(one.name, "chosen"),
            ]
            for number, one in sorted(variants.items())
        ],
    )
    console.message(f"chosen: {name}@{version}" + ("" if alias is None else f", now {name}@{alias}"))
