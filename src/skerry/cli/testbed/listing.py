"""``skerry testbed list``."""

from __future__ import annotations

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option


@click.command("list", cls=Command, example="skerry testbed list")
@json_option
@click.pass_obj
def list_topologies(console: Console) -> None:
    """List the topologies that come with Skerry."""
    from skerry.testbed.topology import read_topology, shipped_topologies

    found = [(name, read_topology(name)) for name in shipped_topologies()]
    if console.as_json:
        console.json(
            [
                {
                    "name": name,
                    "nodes": len(topology.nodes),
                    "sites": len(topology.sites),
                    "links": len(topology.links),
                    "description": topology.description,
                }
                for name, topology in found
            ]
        )
        return
    rows = [
        [name, str(len(topology.sites)), str(len(topology.links)), topology.description] for name, topology in found
    ]
    console.table(["NAME", "SITES", "LINKS", "DESCRIPTION"], rows)
