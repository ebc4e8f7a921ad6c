"""Networks of the Internet Topology Zoo as topologies: places with coordinates become nodes, distances become delays.

Source: Knight, Nguyen, Falkner, Bowden, Roughan: The Internet Topology Zoo, IEEE JSAC 29(9), 2011; CC BY 4.0.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from skerry.errors import SpecError
from skerry.testbed.links import Conditions, LinkConditions
from skerry.testbed.topology.routing import shortest_path
from skerry.testbed.topology.topology import Node, PlannedLink, Topology

EARTH_RADIUS_KM = 6371.0
# Light in fibre, and how much longer fibre is than the straight way.
FIBRE_KM_PER_MS = 200.0
DETOUR = 1.5
SHORTEST_MS = 0.05
# For a network without a single coordinate.
UNKNOWN_MS = 1.0
CREDIT = "The Internet Topology Zoo (Knight et al., 2011), CC BY 4.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node of a network.

    Args:
        label: What it is called.
        latitude: Degrees north; None where it is not known.
        longitude: Degrees east; None where it is not known.
    """

    label: str
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What a file of the Zoo holds, as far as it matters here.

    Args:
        name: What it is called.
        places: By the file's own identifiers.
        edges: Pairs of identifiers.
    """

    name: str
    places: Mapping[str, Place]
    edges: tuple[tuple[str, str], ...]


def convert_network(network: Network, *, client: str | None = None, sites: int = 3) -> Topology:
    """Return a network as a topology.

    One place is the client. Of the others, those that are nearest to it become edge sites and the one that is furthest
    away the cloud; all the rest are routers. What is not connected with the client is left out. Links have no rate:
    those of such networks are faster than what a machine emulates.

    Args:
        network: The network.
        client: Label of the client's place; None takes the one with the most links.
        sites: How many places get an engine.

    Raises:
        SpecError: there is no such place, or there are too few places.
    """
    names = _names(network)
    delays = _delays(network, names)
    chosen = _choose_client(network, names, delays, client)
    reached = _reached(delays, chosen)
    if len(reached) < sites + 1:
        raise SpecError(f"{network.name} has {len(reached)} connected places, too few for {sites} sites and a client")
    links = tuple(
        PlannedLink(a=a, b=b, conditions=LinkConditions.same(Conditions(delay_ms=delay_ms)))
        for (a, b), delay_ms in delays.items()
        if a in reached
    )
    kept = [name for name in names.values() if name in reached]
    bare = Topology(
        name=_slug(network.name),
        nodes={name: Node(name=name, role="client" if name == chosen else "router") for name in kept},
        links=links,
    )
    nearest = sorted((name for name in kept if name != chosen), key=lambda name: (_path_ms(bare, chosen, name), name))
    edges, cloud = set(nearest[: sites - 1]), nearest[-1]
    nodes = {}
    for name in kept:
        role = "client" if name == chosen else "site" if name in edges or name == cloud else "router"
        tier = "device" if name == chosen else "cloud" if name == cloud else "edge"
        nodes[name] = Node(name=name, role=role, tier=tier)  # type: ignore[arg-type]  # both are among the words
    return Topology(
        name=bare.name,
        description=f"{network.name}: {len(nodes)} places, calls from {chosen}. {CREDIT}",
        nodes=nodes,
        links=links,
    )


def distance_km(first: Place, second: Place) -> float | None:
    """Return the length of the great circle between two places; None where one of them is nowhere."""
    if None in (first.latitude, first.longitude, second.latitude, second.longitude):
        return None
    latitude_1, longitude_1, latitude_2, longitude_2 = (
        math.radians(value or 0.0) for value in (first.latitude, first.longitude, second.latitude, second.longitude)
    )
    half = (
        math.sin((latitude_2 - latitude_1) / 2) ** 2
        + math.cos(latitude_1) * math.cos(latitude_2) * math.sin((longitude_2 - longitude_1) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, half)))


def propagation_ms(length_km: float) -> float:
    """Return how long light takes through the fibre between places so far apart, one way, milliseconds."""
    return max(SHORTEST_MS, round(length_km * DETOUR / FIBRE_KM_PER_MS, 2))


def _delays(network: Network, names: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Return the delay of each link; of several between two places, one. Unknown distances count as the median."""
    known: dict[tuple[str, str], float | None] = {}
    for first, second in network.edges:
        pair = (names[first], names[second])
        if first == second or pair in known or pair[::-1] in known:
            continue
        length_km = distance_km(network.places[first], network.places[second])
        known[pair] = None if length_km is None else propagation_ms(length_km)
    lengths = [value for value in known.values() if value is not None]
    usual_ms = round(median(lengths), 2) if lengths else UNKNOWN_MS
    return {pair: usual_ms if value is None else value for pair, value in known.items()}


def _names(network: Network) -> dict[str, str]:
    found: dict[str, str] = {}
    taken: set[str] = set()
    for index, (key, place) in enumerate(network.places.items()):
        name = _slug(place.label)
        if name in taken:
            name = f"{name}-{index}"
        taken.add(name)
        found[key] = name
    return found


def _choose_client(
    network: Network, names: Mapping[str, str], delays: Mapping[tuple[str, str], float], client: str | None
) -> str:
    if client is None:
        ends = [name for pair in delays for name in pair]
        if not ends:
            raise SpecError(f"{network.name} has no links")
        return max(sorted(set(ends)), key=ends.count)
    for key, place in network.places.items():
        if client in (place.label, names[key]):
            return names[key]
    raise SpecError(f"{network.name} has no place {client!r}; it has {', '.join(sorted(names.values()))}")


def _reached(delays: Mapping[tuple[str, str], float], start: str) -> set[str]:
    reached = {start}
    grown = True
    while grown:
        grown = False
        for a, b in delays:
            if (a in reached) != (b in reached):
                reached |= {a, b}
                grown = True
    return reached


def _path_ms(topology: Topology, start: str, end: str) -> float:
    path = shortest_path(topology, start, end)
    delays = {frozenset((link.a, link.b)): link.conditions.forward.delay_ms for link in topology.links}
    return sum(delays[frozenset(pair)] for pair in pairwise(path))


def _slug(label: str) -> str:
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not words or not words[0].isalpha():
        words = f"n-{words}".rstrip("-")
    return words[:40].rstrip("-")
