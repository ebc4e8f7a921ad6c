"""Actions as entries of xdp-filter: pure, from a match to its command line, and what may never be an entry.

An entry is one address or one port. A packet that any of them hits is dropped: entries cannot be combined, and none of
them lets a packet pass that another one drops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from skerry.errors import PlatformError
from skerry.network.actions.action import Action
from skerry.network.actions.match import Address, Match, Network, Protocol
from skerry.network.actions.policy import LOOPBACKS, Policy, contains

MOST_ENTRIES = 256
Side = Literal["src", "dst"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry.

    Attributes:
        side: Whether a packet comes from it or goes to it.
        address: Which address; None for an entry about a port.
        port: Which port.
        protocol: Of TCP or of UDP; None for an address.
    """

    side: Side
    address: Address | None = None
    port: int = 0
    protocol: Protocol | None = None

    @property
    def key(self) -> str:
        """What it is about, as ``xdp-filter status`` prints it."""
        return str(self.port) if self.address is None else str(self.address)

    @property
    def modes(self) -> frozenset[str]:
        """What an entry is, in the words of ``xdp-filter status``."""
        return frozenset({self.side} if self.protocol is None else {self.side, self.protocol.value})

    @property
    def words(self) -> tuple[str, ...]:
        """What it is, for the command line."""
        if self.protocol is None:
            return ("ip", self.key, "-m", self.side)
        return ("port", self.key, "-m", self.side, "-p", self.protocol.value)

    @property
    def feature(self) -> str:
        """What xdp-filter has to be loaded with."""
        if self.address is not None:
            return f"ipv{self.address.version}"
        return str(self.protocol)


def entries_of(action: Action, destinations: Sequence[Network]) -> list[Entry]:
    """Return the entries that carry an action out, which hit what it is about and nothing else.

    Args:
        action: What is to be done.
        destinations: All that the packets go to which arrive where xdp-filter is loaded.

    Raises:
        PlatformError: entries cannot say it.
    """
    match = action.match
    if action.limit is not None:
        raise PlatformError("xdp-filter drops all or nothing, so it carries out no action with a limit")
    if match.flags is not None or match.length_bytes is not None or match.fragments:
        raise PlatformError("xdp-filter sees neither TCP flags nor lengths nor fragments: leave them out")
    if not match.narrowed:
        return [_black_hole(match)]
    entries = _port_entries(match) if match.protocol is not None else _source_entries(match)
    if len(entries) > MOST_ENTRIES:
        raise PlatformError(f"it takes {len(entries)} entries, one for each source, and {MOST_ENTRIES} is the most")
    for network in destinations:
        if match.protocol is None and network.version != match.destination.version:
            continue  # nothing from an address goes to one of the other version; to a port, both do
        if not contains(match.destination, network):
            raise PlatformError(
                f"an entry has no destination: it would drop what goes to {network} as well, not only what goes to "
                f"{match.destination}"
            )
    return entries


def find_guarded(entry: Entry, policy: Policy) -> str | None:
    """Return why an entry may never be there, or None when it may.

    Nothing stands before the entries that would let pass what no action may touch. So each is held to the policy by
    itself, and whatever else its action says.

    Args:
        entry: What would be added.
        policy: What no action may ever touch.
    """
    if entry.address is None:
        return _find_guarded_port(entry, policy)
    address = entry.address
    if any(address in network for network in LOOPBACKS):
        return "it touches the loopback"
    if address.is_unspecified or (address.version == 6 and address.is_link_local):
        return f"neighbours are found with packets of {address}"
    if any(address in network for network in policy.allowed):
        return f"{address} is on the allow-list"
    for path in policy.paths:
        if address in (path.peer if entry.side == "src" else path.local):
            return f"it would cut the path from {path.peer} to {path.local}, through which this machine is managed"
    return None


def entry_to_plain(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain values that JSON can hold; the inverse of :func:`entry_from_plain`."""
    if entry.protocol is None:
        return {"side": entry.side, "address": entry.key}
    return {"side": entry.side, "port": entry.port, "protocol": entry.protocol.value}


def entry_from_plain(plain: Mapping[str, Any]) -> Entry:
    """Return the entry that plain values describe."""
    if "address" in plain:
        return Entry(side=plain["side"], address=ip_address(plain["address"]))
    return Entry(side=plain["side"], port=plain["port"], protocol=Protocol(plain["protocol"]))


def _black_hole(match: Match) -> Entry:
    if match.spared:
        raise PlatformError("an entry about a destination takes everything and spares nobody: name no sources to spare")
    return Entry(side="dst", address=_single(match.destination))


def _source_entries(match: Match) -> list[Entry]:
    left = [source for source in dict.fromkeys(match.sources) if not _inside(source, match.spared)]
    if not left:
        raise PlatformError("it spares all sources that it names")
    return [Entry(side="src", address=_single(source)) for source in left]


def _port_entries(match: Match) -> list[Entry]:
    sides: dict[Side, Iterable[int]] = {"src": match.source_ports, "dst": match.destination_ports}
    named: list[tuple[Side, Iterable[int]]] = [(side, ports) for side, ports in sides.items() if ports]
    if match.sources or len(named) != 1:
        raise PlatformError(
            "an entry is about one thing: name sources without a protocol, or destination ports, or source ports"
        )
    if match.spared:
        raise PlatformError("an entry about a port drops it from everybody and spares nobody: name no sources to spare")
    ((side, ports),) = named
    return [Entry(side=side, port=port, protocol=match.protocol) for port in sorted(set(ports))]


def _find_guarded_port(entry: Entry, policy: Policy) -> str | None:
    if policy.allowed:
        return f"an entry about a port would touch the packets of {policy.allowed[0]}, which is on the allow-list"
    for path in policy.paths:
        port = path.peer_port if entry.side == "src" else path.local_port
        if path.protocol in (None, entry.protocol) and port in (None, entry.port):
            return f"it would cut the path from {path.peer} to {path.local}, through which this machine is managed"
    return None


def _single(network: Network) -> Address:
    if network.prefixlen != network.max_prefixlen:
        raise PlatformError(f"xdp-filter names single addresses, and {network} is a network")
    return network.network_address


def _inside(network: Network, others: Iterable[Network]) -> bool:
    return any(contains(other, network) for other in others)
