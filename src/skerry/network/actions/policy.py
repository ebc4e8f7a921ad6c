"""What actions may never do: the scope, the allow-list, and the paths that the machine is managed through."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_network
from typing import Any

from skerry.errors import SpecError
from skerry.network.actions.action import Action
from skerry.network.actions.match import Match, Network, Protocol

LOOPBACKS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Packets that must always arrive at this machine.

    Attributes:
        peer: Who sends them.
        local: Where they arrive.
        protocol: What travels in them; None for anything.
        peer_port: The port that they come from; None for any.
        local_port: The port that they go to; None for any.
    """

    peer: Network
    local: Network
    protocol: Protocol | None = None
    peer_port: int | None = None
    local_port: int | None = None

    def __post_init__(self) -> None:
        """Refuse a path between two versions of IP, and ports of what has none.

        Raises:
            SpecError: one of the two.
        """
        if self.peer.version != self.local.version:
            raise SpecError(f"a path leads between addresses of one IP version, not from {self.peer} to {self.local}")
        if (self.peer_port or self.local_port) and self.protocol not in (Protocol.TCP, Protocol.UDP):
            raise SpecError("a path with ports must say protocol=tcp or protocol=udp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The limits of what actions may do.

    Attributes:
        scope: Networks that are defended; an action's destination lies in one of them.
        allowed: Networks whose packets no action touches, from them or to them.
        paths: What the machine is managed through.
        most_active: Actions in force at the same time.
        most_sources: Sources of one action.
        longest_ttl_s: Largest time to live, seconds.
        shortest_prefix_v4: Shortest prefix of an action's destination in IPv4.
        shortest_prefix_v6: Shortest prefix of an action's destination in IPv6.
        black_holes: Whether an action may take everything from one address, to save the link that others share with it.
    """

    scope: tuple[Network, ...]
    allowed: tuple[Network, ...] = ()
    paths: tuple[Path, ...] = ()
    most_active: int = 32
    most_sources: int = 4096
    longest_ttl_s: float = 3600.0
    shortest_prefix_v4: int = 24
    shortest_prefix_v6: int = 64
    black_holes: bool = False


def find_refusal(action: Action, active: Collection[Action], policy: Policy) -> str | None:
    """Return why an action may not be taken, or None when it may.

    Args:
        action: What is to be done.
        active: The actions that are in force.
        policy: What they may never do.
    """
    match = action.match
    destination = match.destination
    shortest = policy.shortest_prefix_v4 if destination.version == 4 else policy.shortest_prefix_v6
    allowed = policy.black_holes and destination.prefixlen == destination.max_prefixlen
    checks = (
        (not _inside(destination, policy.scope), f"{destination} is not in the scope that is defended"),
        (destination.prefixlen < shortest, f"{destination} is wider than /{shortest}"),
        (
            not match.narrowed and not allowed,
            f"it would take everything from {destination}: that finishes what the attack began",
        ),
        (len(match.sources) > policy.most_sources, f"it names more than {policy.most_sources} sources"),
        (action.ttl_s > policy.longest_ttl_s, f"its ttl_s is above {policy.longest_ttl_s:g}"),
        (len(active) >= policy.most_active, f"{policy.most_active} actions are in force already"),
        (any(other.id == action.id for other in active), f"an action {action.id!r} is in force already"),
    )
    for wrong, reason in checks:
        if wrong:
            return reason
    return _find_protected(match, policy)


def spare(match: Match, policy: Policy) -> Match:
    """Return a match that leaves alone the allow-list's sources and the peers of the paths that it would have hit.

    A destination that no action may touch stays as it is: only a refusal answers that.
    """
    wanted = [network for network in policy.allowed if _hits_source(match, network)]
    wanted += [path.peer for path in policy.paths if _hits_path(match, path)]
    missing = [network for network in wanted if not _inside(network, match.spared)]
    return replace(match, spared=(*match.spared, *dict.fromkeys(missing))) if missing else match


def policy_to_plain(policy: Policy) -> dict[str, Any]:
    """Return a policy as plain values that JSON can hold; the inverse of :func:`policy_from_plain`."""
    plain = {name: value for name, value in asdict(policy).items() if not isinstance(value, tuple)}
    plain |= {name: [str(network) for network in getattr(policy, name)] for name in ("scope", "allowed")}
    plain["paths"] = [{**asdict(path), "peer": str(path.peer), "local": str(path.local)} for path in policy.paths]
    return plain


def policy_from_plain(plain: Mapping[str, Any]) -> Policy:
    """Return the policy that plain values describe.

    Raises:
        SpecError: its parts contradict each other.
    """
    return Policy(
        **{
            **plain,
            "scope": tuple(ip_network(text) for text in plain["scope"]),
            "allowed": tuple(ip_network(text) for text in plain["allowed"]),
            "paths": tuple(_path_from_plain(path) for path in plain["paths"]),
        }
    )


def _path_from_plain(plain: Mapping[str, Any]) -> Path:
    protocol = None if plain["protocol"] is None else Protocol(plain["protocol"])
    ends = {"peer": ip_network(plain["peer"]), "local": ip_network(plain["local"])}
    return Path(**{**plain, **ends, "protocol": protocol})


def _find_protected(match: Match, policy: Policy) -> str | None:
    for network in LOOPBACKS:
        if _overlap(match.destination, network) or any(_overlap(source, network) for source in match.sources):
            return "it touches the loopback"
    for network in policy.allowed:
        if _overlap(match.destination, network):
            return f"its destination {match.destination} is on the allow-list ({network})"
        if _hits_source(match, network):
            return f"it hits packets from {network}, which is on the allow-list"
    for path in policy.paths:
        if _hits_path(match, path):
            return f"it would cut the path from {path.peer} to {path.local}, through which this machine is managed"
    return None


def _hits_source(match: Match, network: Network) -> bool:
    if network.version != match.destination.version or _inside(network, match.spared):
        return False
    return not match.sources or any(_overlap(source, network) for source in match.sources)


def _hits_path(match: Match, path: Path) -> bool:
    if not _overlap(match.destination, path.local) or not _hits_source(match, path.peer):
        return False
    if match.protocol is not None and path.protocol is not None and match.protocol is not path.protocol:
        return False
    return _ports_meet(match.source_ports, path.peer_port) and _ports_meet(match.destination_ports, path.local_port)


def _ports_meet(ports: Sequence[int], port: int | None) -> bool:
    return not ports or port is None or port in ports


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _inside(network: Network, others: Sequence[Network]) -> bool:
    return any(contains(other, network) for other in others)


def contains(outer: Network, inner: Network) -> bool:
    """Return whether a network holds all of another."""
    return outer.version == inner.version and outer.prefixlen <= inner.prefixlen and outer.overlaps(inner)
