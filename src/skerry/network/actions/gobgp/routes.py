"""Actions as routes of BGP: pure, from a match to what GoBGP's command line takes and prints.

Source: RFC 8955 and 8956 (FlowSpec), RFC 7999 (the community BLACKHOLE).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import collapse_addresses
from itertools import product
from typing import Any, Literal

from skerry.errors import PlatformError
from skerry.network.actions.action import Action
from skerry.network.actions.match import Flag, Match, Network, Protocol

MOST_ROUTES = 64
# The community BLACKHOLE as a number.
BLACKHOLE = 0xFFFF_029A
Family = Literal["ipv4-flowspec", "ipv6-flowspec", "ipv4", "ipv6"]
FAMILIES: tuple[Family, ...] = ("ipv4-flowspec", "ipv6-flowspec", "ipv4", "ipv6")

# Types of the components of a FlowSpec rule, in their order, by GoBGP's words.
_TYPES = {
    "destination": 1,
    "source": 2,
    "protocol": 3,
    "destination-port": 5,
    "source-port": 6,
    "tcp-flags": 9,
    "packet-length": 10,
    "fragment": 12,
}
# Of an operator: less, greater, equal, and `and`. Of a bit mask: match, not. The rest says how it is encoded.
_LESS, _GREATER, _EQUAL, _AND, _MATCH, _NOT = 4, 2, 1, 0x40, 1, 2
_MEANING = _LESS | _GREATER | _EQUAL | _AND
_IS_FRAGMENT = 2
_NUMBERS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.ICMP: 1}
_ICMP_V6 = 58
_LETTERS = {Flag.FIN: "F", Flag.SYN: "S", Flag.RST: "R", Flag.ACK: "A"}

Term = tuple[int, int]
Component = tuple[int, str | tuple[Term, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        family: Address family, as GoBGP calls it.
        words: What it is, for GoBGP's command line.
        identity: What it is, to be compared with what GoBGP prints.
        drops: Whether it drops packets; otherwise it lets them pass before wider routes drop them.
    """

    family: Family
    words: tuple[str, ...]
    identity: tuple[Component, ...]
    drops: bool = True


def routes_of(action: Action) -> list[Route]:
    """Return the routes that carry an action out, those that spare first.

    Raises:
        PlatformError: routes cannot say it.
    """
    match = action.match
    if action.limit is not None:
        raise PlatformError("FlowSpec limits bytes and not packets, so BGP carries out no action with a limit")
    if not match.narrowed:
        if match.spared:
            raise PlatformError("a black hole takes everything and spares nobody: name no sources to spare")
        return [_black_hole(match.destination)]
    spared = [_rule(match, source, drops=False) for source in _merged(match.spared)]
    dropped = [_rule(match, source) for source in _merged(match.sources)] or [_rule(match, None)]
    routes = [*spared, *dropped]
    if len(routes) > MOST_ROUTES:
        raise PlatformError(f"it takes {len(routes)} routes, one for each source, and {MOST_ROUTES} is the most")
    _check_order(match)
    return routes


def identity_of(printed: Mapping[str, Any]) -> tuple[Component, ...]:
    """Return what a route is that GoBGP prints as JSON."""
    nlri = printed["nlri"]
    if "value" not in nlri:
        return ((0, nlri["prefix"]),)
    return tuple(_component(part) for part in nlri["value"])


def drops(printed: Mapping[str, Any]) -> bool:
    """Return whether a route that GoBGP prints drops packets."""
    for attribute in printed["attrs"]:
        if attribute["type"] == 8 and BLACKHOLE in attribute["communities"]:
            return True
        if attribute["type"] == 16 and any(
            item.get("subtype") == 6 and not item["rate"] for item in attribute["value"]
        ):
            return True
    return False


def _check_order(match: Match) -> None:
    # Routes with a longer source are asked first; a spared network that is wider than a source would be asked last.
    for spared, source in product(match.spared, match.sources):
        if spared.overlaps(source) and spared.prefixlen <= source.prefixlen:
            raise PlatformError(f"routes cannot spare {spared} and drop {source} inside of it: leave {source} out")


def _black_hole(destination: Network) -> Route:
    prefix = str(destination)
    return Route(family="ipv4" if destination.version == 4 else "ipv6", words=(prefix,), identity=((0, prefix),))


def _rule(match: Match, source: Network | None, *, drops: bool = True) -> Route:
    parts = {"destination": (str(match.destination), str(match.destination))}
    if source is not None:
        parts["source"] = (str(source), str(source))
    parts |= dict(_narrowing(match))
    ordered = sorted(parts, key=lambda name: _TYPES[name])
    words = [word for name in ordered for word in (name, parts[name][0])]
    return Route(
        family="ipv4-flowspec" if match.destination.version == 4 else "ipv6-flowspec",
        words=("match", *words),
        identity=tuple((_TYPES[name], parts[name][1]) for name in ordered),
        drops=drops,
    )


def _narrowing(match: Match) -> Iterable[tuple[str, tuple[str, Any]]]:
    if match.protocol is not None:
        # A number: GoBGP 3.10 takes the word `ipv6-icmp` for TCP.
        is_v6 = match.destination.version == 6 and match.protocol is Protocol.ICMP
        yield "protocol", _equal([_ICMP_V6 if is_v6 else _NUMBERS[match.protocol]])
    for name, ports in (("destination-port", match.destination_ports), ("source-port", match.source_ports)):
        if ports:
            yield name, _equal(sorted(set(ports)))
    if match.flags is not None:
        yield "tcp-flags", _exactly(match.flags)
    if match.length_bytes is not None:
        smallest, largest = match.length_bytes
        terms = ((_GREATER | _EQUAL, smallest), (_LESS | _EQUAL | _AND, largest))
        yield "packet-length", (f">={smallest}&<={largest}", terms)
    if match.fragments:
        yield "fragment", ("=is-fragment", ((_MATCH, _IS_FRAGMENT),))


def _equal(numbers: Iterable[int]) -> tuple[str, tuple[Term, ...]]:
    numbers = list(numbers)
    return " ".join(f"=={number}" for number in numbers), tuple((_EQUAL, number) for number in numbers)


def _exactly(flags: Flag) -> tuple[str, tuple[Term, ...]]:
    """Return the terms that ask for these flags and for none of the others."""
    words: list[str] = []
    terms: list[Term] = []
    for flag, letter in _LETTERS.items():
        asked = flag in flags
        words.append(f"{'=' if asked else '!'}{letter}")
        terms.append(((_MATCH if asked else _NOT) | (_AND if terms else 0), int(flag)))
    return "&".join(words), tuple(terms)


def _merged(networks: Iterable[Network]) -> list[Network]:
    return [*collapse_addresses(networks)]  # type: ignore[type-var]  # a match's sources are of one IP version


def _component(part: Mapping[str, Any]) -> Component:
    value = part["value"]
    if isinstance(value, dict):
        return part["type"], value["prefix"]
    return part["type"], tuple((term["op"] & _MEANING, term["value"]) for term in value)
