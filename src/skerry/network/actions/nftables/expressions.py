"""Rules in the words of nftables: pure, from a match to libnftables' JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

from skerry.network.actions.action import Action, Limit
from skerry.network.actions.match import Flag, Match, Network, Protocol
from skerry.network.actions.policy import LOOPBACKS, Path, Policy

Expression = dict[str, Any]
# Numbers of protocols; names would depend on the machine's files.
_NUMBERS = {(Protocol.TCP, 4): 6, (Protocol.UDP, 4): 17, (Protocol.ICMP, 4): 1}
_NUMBERS |= {(Protocol.TCP, 6): 6, (Protocol.UDP, 6): 17, (Protocol.ICMP, 6): 58}
# Neighbours find each other with these messages of ICMPv6; without them an IPv6 host is cut off from its own link.
_NEIGHBOURS = [133, 134, 135, 136]
_FRAGMENT_OFFSET = 0x1FFF


def rule_expressions(action: Action) -> list[Expression]:
    """Return what an action's rule is made of; the set that switches it has the action's id as its name."""
    match = action.match
    expressions = [_compare(_payload(_ip(match), "daddr"), f"@{action.id}")]
    expressions += _protocol_expressions(match)
    if match.length_bytes is not None:
        smallest, largest = match.length_bytes
        wanted = smallest if smallest == largest else {"range": [smallest, largest]}
        expressions.append(_compare({"meta": {"key": "length"}}, wanted))
    if match.fragments:
        offset = {"&": [_payload("ip", "frag-off"), _FRAGMENT_OFFSET]}
        expressions.append(_compare(offset, 0, operator="!="))
    if match.sources:
        expressions.append(_compare(_payload(_ip(match), "saddr"), _choice(match.sources)))
    if match.spared:
        expressions.append(_compare(_payload(_ip(match), "saddr"), _choice(match.spared), operator="!="))
    if action.limit is not None:
        expressions.append(_limit_expression(action, action.limit))
    return [*expressions, {"counter": None}, {"drop": None}]


def guard_rules(policy: Policy) -> Iterator[list[Expression]]:
    """Yield the rules that stand before all actions and let pass what no action may ever touch."""
    yield [_compare({"meta": {"key": "iifname"}}, "lo"), {"accept": None}]
    for network in LOOPBACKS:
        family = "ip" if network.version == 4 else "ip6"
        yield [_compare(_payload(family, "daddr"), network_value(network)), {"accept": None}]
    yield [
        _compare({"meta": {"key": "l4proto"}}, 58),
        _compare(_payload("icmpv6", "type"), {"set": _NEIGHBOURS}),
        {"accept": None},
    ]
    for network in policy.allowed:
        family = "ip" if network.version == 4 else "ip6"
        for field in ("saddr", "daddr"):
            yield [_compare(_payload(family, field), network_value(network)), {"accept": None}]
    for path in policy.paths:
        yield _path_expressions(path)


def network_value(network: Network) -> Any:
    """Return a network as nftables prints it: an address when it is one."""
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}


def _path_expressions(path: Path) -> list[Expression]:
    family = "ip" if path.local.version == 4 else "ip6"
    expressions = []
    for field, network in (("saddr", path.peer), ("daddr", path.local)):
        if network.prefixlen:
            expressions.append(_compare(_payload(family, field), network_value(network)))
    if path.protocol is not None:
        number = _NUMBERS[path.protocol, path.local.version]
        expressions.append(_compare({"meta": {"key": "l4proto"}}, number))
        for field, port in (("sport", path.peer_port), ("dport", path.local_port)):
            if port is not None:
                expressions.append(_compare(_payload(path.protocol.value, field), port))
    return [*expressions, {"accept": None}]


def _protocol_expressions(match: Match) -> list[Expression]:
    if match.protocol is None:
        return []
    number = _NUMBERS[match.protocol, match.destination.version]
    expressions = [_compare({"meta": {"key": "l4proto"}}, number)]
    for field, ports in (("sport", match.source_ports), ("dport", match.destination_ports)):
        if ports:
            distinct = sorted(set(ports))
            wanted = distinct[0] if len(distinct) == 1 else {"set": distinct}
            expressions.append(_compare(_payload(match.protocol.value, field), wanted))
    if match.flags is not None:
        expressions.append(_flag_expression(match.flags))
    return expressions


def _flag_expression(flags: Flag) -> Expression:
    every = [int(flag) for flag in Flag]
    wanted = [int(flag) for flag in Flag if flag in flags]
    masked = {"&": [_payload("tcp", "flags"), every]}
    return _compare(masked, 0 if not wanted else wanted[0] if len(wanted) == 1 else wanted)


def _limit_expression(action: Action, limit: Limit) -> Expression:
    above = {
        "limit": {"rate": limit.packets_per_s, "burst": limit.burst_packets, "per": "second", "inv": True},
    }
    if not limit.per_source:
        return above
    return {"meter": {"name": f"{action.id}m", "key": _payload(_ip(action.match), "saddr"), "stmt": above}}


def _choice(networks: Sequence[Network]) -> Any:
    # The kernel's sets do not take networks inside each other.
    merged: list[Network] = [*collapse_addresses(item for item in networks if isinstance(item, IPv4Network))]
    merged += collapse_addresses(item for item in networks if isinstance(item, IPv6Network))
    values = [network_value(network) for network in merged]
    return values[0] if len(values) == 1 else {"set": values}


def _ip(match: Match) -> str:
    return "ip" if match.destination.version == 4 else "ip6"


def _payload(protocol: str, field: str) -> Expression:
    return {"payload": {"protocol": protocol, "field": field}}


def _compare(left: Any, right: Any, *, operator: str = "==") -> Expression:
    return {"match": {"op": operator, "left": left, "right": right}}
