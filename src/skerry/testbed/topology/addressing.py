"""Which addresses and interfaces a topology has; pure. Namespaces are closed worlds, so every testbed has the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skerry.errors import SpecError
from skerry.testbed.links import End
from skerry.testbed.topology.topology import Topology

NODE_NETWORK = "10.77"
LINK_NETWORK = "10.78"
MOST_NODES = 250 * 125
# An interface's name has 15 bytes at most.
INTERFACE_BYTES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Names and addresses of everything in a testbed.

    Args:
        namespaces: By node.
        addresses: By node; a node has one address, whichever link it is reached by.
        ends: Of each link, in the order of the topology.
    """

    namespaces: Mapping[str, str]
    addresses: Mapping[str, str]
    ends: tuple[tuple[End, End], ...]


def make_plan(topology: Topology, mark: str) -> Plan:
    """Return the names and addresses of a testbed.

    Args:
        topology: Its nodes and links.
        mark: What all its names begin with.

    Raises:
        SpecError: there are more nodes or links than addresses.
    """
    if max(len(topology.nodes), len(topology.links)) > MOST_NODES:
        raise SpecError(f"the topology has more than {MOST_NODES:,} nodes or links")
    namespaces = {name: f"{mark}-{name}" for name in topology.nodes}
    addresses = {name: f"{NODE_NETWORK}.{index // 250}.{index % 250 + 1}" for index, name in enumerate(topology.nodes)}
    taken: set[tuple[str, str]] = set()
    ends = []
    for index, link in enumerate(topology.links):
        pair = []
        for side, (name, peer) in enumerate(((link.a, link.b), (link.b, link.a))):
            interface = f"to-{peer}"[:INTERFACE_BYTES]
            if (name, interface) in taken:
                interface = f"link-{index}"
            taken.add((name, interface))
            number = 2 * index + side
            address = f"{LINK_NETWORK}.{number // 250}.{number % 250 + 1}"
            pair.append(End(namespace=namespaces[name], interface=interface, address=address))
        ends.append((pair[0], pair[1]))
    return Plan(namespaces=namespaces, addresses=addresses, ends=tuple(ends))
