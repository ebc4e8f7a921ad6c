"""``skerry network flows``: flow records of exporters, as they come or as they were recorded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import LazyGroup

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "listen": "skerry.cli.network.flows.listen:listen",
        "read": "skerry.cli.network.flows.read:read",
    }
)


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    example=(
        "skerry network flows listen --port 2055 --record flows.pcap\nskerry network flows read flows.pcap --features 1"
    ),
)
def flows() -> None:
    """Show flow records: NetFlow v5 and v9, IPFIX, and sFlow v5."""
