"""``skerry list``."""

from __future__ import annotations

import click

from skerry.cli.clusters import CLUSTER_COLUMNS, cluster_row
from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.options import Command, json_option


@click.command(
    "list", cls=Command, example="skerry list\nskerry list --json\nskerry list --platform knative --namespace edge"
)
@destination_options
@json_option
@click.pass_obj
def list_functions(console: Console, destination: Destination) -> None:
    """List the deployed functions."""
    platform = destination.cluster_platform()
    functions = destination.engine().functions() if platform is None else platform.functions()
    if console.as_json:
        console.json(functions)
        return
    if not functions:
        console.message("no functions; deploy some with: skerry deploy FILE")
        return
    if platform is not None:
        console.table(CLUSTER_COLUMNS, [cluster_row(function) for function in functions])
        return
    rows = [
        [
            str(function["name"]),
            str(function["app"]),
            str(function["revision"]),
            str(sum(function["workers"].values())),
            str(function["queued"]),
            str(function["in_flight"]),
            str(function["address"]),
        ]
        for function in functions
    ]
    console.table(["NAME", "APP", "REVISION", "WORKERS", "QUEUED", "IN FLIGHT", "ADDRESS"], rows)
