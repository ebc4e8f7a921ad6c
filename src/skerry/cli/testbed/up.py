"""``skerry testbed up``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option
from skerry.cli.testbed.options import complete_topology, folder_option, require_root
from skerry.cli.testbed.status import show
from skerry.cli.units import count

MEASURING = {"quick": "a second or more", "full": "about a minute"}


@click.command(cls=Command, example="skerry testbed up 6g-edge\nskerry testbed up home.toml --self-test full")
@click.argument("file", shell_complete=complete_topology)
@folder_option
@click.option(
    "--self-test",
    type=click.Choice(["none", "quick", "full"]),
    default="quick",
    show_default=True,
    help="How thoroughly each link is measured first; full takes about a minute per link.",
)
@click.option("--means", type=click.Choice(["netem", "tun"]), help="How links are emulated; the best by default.")
@json_option
@click.pass_obj
def up(console: Console, file: str, folder: Path, self_test: str, means: str | None) -> None:
    """Bring up the topology of FILE, or one that comes with Skerry, by its name.

    It stays up until `skerry testbed down`. Fails, and leaves nothing, when a link is not what it was set to.
    """
    from skerry.testbed.links import QUICK, SelfTest
    from skerry.testbed.topology import Testbed, read_topology

    topology = read_topology(file)
    require_root()
    plan = {"none": None, "quick": QUICK, "full": SelfTest()}[self_test]
    sites, links = count(len(topology.sites), "site"), count(len(topology.links), "link")
    console.message(f"bringing up {topology.name}: {sites}, {links}")
    if plan is not None:
        console.message(f"each link is measured first, {MEASURING[self_test]} per link; --self-test none leaves it out")
    testbed = Testbed(topology, folder, means=means, self_test=plan).up()
    testbed.release()
    show(console, testbed)
