"""``skerry testbed convert``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option


@click.command(cls=Command, example="skerry testbed convert Abilene.graphml > abilene.toml")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--client", help="Place that calls come from; the one with the most links by default.")
@click.option("--sites", default=3, show_default=True, type=click.IntRange(1), help="Places that get an engine.")
@json_option
@click.pass_obj
def convert(console: Console, file: Path, client: str | None, sites: int) -> None:
    """Turn a network of the Internet Topology Zoo (GraphML or GML) into a topology.

    A link's delay is that of light in fibre over the distance of its ends, with a half more for the way fibres take.
    """
    from skerry.testbed.topology.zoo import convert_network
    from skerry.testbed.topology.zoo_text import read_network, write_topology

    text = write_topology(convert_network(read_network(file), client=client, sites=sites)).rstrip()
    if console.as_json:
        console.json({"topology": text})
    else:
        console.data(text)
