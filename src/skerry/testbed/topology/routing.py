"""Which way packets go: the path with the least delay, from every node to every other; pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from skerry.testbed.topology.topology import Topology


def next_hops(topology: Topology) -> dict[str, dict[str, str]]:
    """Return for each node, by destination, the neighbour that packets go to.

    The path has the least sum of mean delays in its own direction; of equals, the one with fewest links; of those, the
    one whose nodes come first by name.
    """
    neighbours = _neighbours(topology)
    return {
        name: {target: path[1] for target, path in _paths(name, neighbours).items() if len(path) > 1}
        for name in topology.nodes
    }


def shortest_path(topology: Topology, start: str, end: str) -> list[str]:
    """Return the nodes from one to another, both included."""
    return list(_paths(start, _neighbours(topology))[end])


def _neighbours(topology: Topology) -> Mapping[str, Mapping[str, float]]:
    found: dict[str, dict[str, float]] = {name: {} for name in topology.nodes}
    for link in topology.links:
        found[link.a][link.b] = link.conditions.forward.delay_ms
        found[link.b][link.a] = link.conditions.backward.delay_ms
    return found


def _paths(start: str, neighbours: Mapping[str, Mapping[str, float]]) -> dict[str, tuple[str, ...]]:
    paths: dict[str, tuple[str, ...]] = {}
    pending: list[tuple[float, int, tuple[str, ...]]] = [(0.0, 0, (start,))]
    while pending:
        delay_ms, hops, path = heapq.heappop(pending)
        if path[-1] in paths:
            continue
        paths[path[-1]] = path
        for name, extra_ms in neighbours[path[-1]].items():
            if name not in paths:
                heapq.heappush(pending, (delay_ms + extra_ms, hops + 1, (*path, name)))
    return paths
