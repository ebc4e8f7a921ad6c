"""What lies between two nodes of a topology, taken together: for means that emulate a way and not each link; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from skerry.testbed.links import Conditions, DirectionName, LinkConditions
from skerry.testbed.topology.routing import shortest_path
from skerry.testbed.topology.topology import PlannedLink, Topology


def way_conditions(topology: Topology, start: str, end: str) -> LinkConditions:
    """Return what packets meet between two nodes, there and back.

    Delays add up, jitters add up as squares, the slowest rate holds, and a packet is lost where any link loses it. Of a
    way over one link it is what is set there, whatever that is.
    """
    return LinkConditions(
        forward=_together(list(_met(topology, start, end))), backward=_together(list(_met(topology, end, start)))
    )


def _met(topology: Topology, start: str, end: str) -> Iterator[Conditions]:
    path = shortest_path(topology, start, end)
    for here, there in pairwise(path):
        link, direction = _link_between(topology, here, there)
        yield link.conditions.forward if direction == "forward" else link.conditions.backward


def _link_between(topology: Topology, here: str, there: str) -> tuple[PlannedLink, DirectionName]:
    link = next(link for link in topology.links if {link.a, link.b} == {here, there})
    return link, "forward" if link.a == here else "backward"


def _together(met: list[Conditions]) -> Conditions:
    if len(met) == 1:
        return met[0]
    rates_mbps = [one.rate_mbps for one in met if one.rate_mbps]
    return Conditions(
        delay_ms=math.fsum(one.delay_ms for one in met),
        jitter_ms=math.hypot(*(one.jitter_ms for one in met)),
        loss_ratio=1 - math.prod(1 - one.loss for one in met),
        rate_mbps=min(rates_mbps, default=None),
    )
