"""``skerry federate``: federated learning over sites, in rounds that survive."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import LazyGroup

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "run": "skerry.cli.federate.run:run",
        "status": "skerry.cli.federate.status:status",
        "resume": "skerry.cli.federate.resume:resume",
        "pause": "skerry.cli.federate.pause:pause",
        "cancel": "skerry.cli.federate.cancel:cancel",
        "report": "skerry.cli.federate.report:report",
    }
)


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    example="skerry federate run digits.py --site edge-1 --site edge-2 --rounds 20\n"
    "skerry federate run digits.py --clients 3 --rounds 5 --set epochs=2\n"
    "skerry federate resume runs/digits-1",
)
def federate() -> None:
    """Train one model on several sites; the data stay where they are.

    A run lives in one folder: its plan, the replies of the round, and the model after each round. A run that was
    interrupted, however it was, goes on from its folder and ends with the same model.
    """
