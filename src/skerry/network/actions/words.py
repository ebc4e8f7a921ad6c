"""Actions in words for people."""

from __future__ import annotations

from collections.abc import Collection

from skerry.network.actions.action import Action, Limit
from skerry.network.actions.match import Flag, Match, Network

MOST_NAMED = 3


def match_words(match: Match) -> str:
    """Return which packets a match is about, like ``tcp SYN to port 80 of 192.0.2.10, 40 bytes``."""
    protocol = match.protocol.value if match.protocol is not None else "all"
    flags = "" if match.flags is None else f" {'+'.join(_flag_names(match)) or 'without flags'}"
    kind = f"{protocol}{flags}{' later fragments' if match.fragments else ''}"
    parts = [f"{kind} to {_ports(match.destination_ports)}{_short(match.destination)}"]
    if match.sources or match.source_ports:
        parts[0] += f" from {_ports(match.source_ports)}{_names(match.sources) or 'anywhere'}"
    if match.length_bytes is not None:
        smallest, largest = match.length_bytes
        parts.append(f"{smallest} bytes" if smallest == largest else f"{smallest} to {largest} bytes")
    if match.spared:
        parts.append(f"but from {_names(match.spared)}")
    return ", ".join(parts)


def effect_words(limit: Limit | None) -> str:
    """Return what is done to the packets."""
    if limit is None:
        return "drop"
    return f"limit to {limit.packets_per_s}/s{' per source' if limit.per_source else ''}"


def action_words(action: Action) -> str:
    """Return what an action does, in one line."""
    return f"{effect_words(action.limit)} {match_words(action.match)}"


def _flag_names(match: Match) -> list[str]:
    return [str(flag.name) for flag in Flag if match.flags is not None and flag in match.flags]


def _ports(ports: Collection[int]) -> str:
    if not ports:
        return ""
    return f"port{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))} of "


def _names(networks: Collection[Network]) -> str:
    if len(networks) > MOST_NAMED:
        return f"{len(networks)} sources"
    return ", ".join(map(_short, networks))


def _short(network: Network) -> str:
    """Return a network as people write it: an address when it is one."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)
