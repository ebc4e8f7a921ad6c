"""``skerry experiment``: run declared experiments, report them, compare runs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import LazyGroup

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "list": "skerry.cli.experiment.listing:list_experiments",
        "run": "skerry.cli.experiment.run:run",
        "report": "skerry.cli.experiment.report:report",
        "compare": "skerry.cli.experiment.compare:compare",
    }
)


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    example="skerry experiment list\nskerry experiment run 6g-training --quick\n"
    "skerry experiment report experiments/6g-training",
)
def experiment() -> None:
    """Run experiments that anybody can repeat.

    A run lives in one folder: a manifest, one line per trial, and the report made of them. A run that was interrupted
    goes on where it was when it is started again.
    """
