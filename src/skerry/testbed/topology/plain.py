"""Topologies as plain data, in the form of their files: for state that is stored, and for reports."""

from __future__ import annotations

from typing import Any

from skerry.testbed.links import DirectionName
from skerry.testbed.topology.topology import Node, PlannedLink, Topology


def topology_to_dict(topology: Topology) -> dict[str, Any]:
    """Return what :func:`~skerry.testbed.topology.reader.parse_topology` makes the same topology of again."""
    plain: dict[str, Any] = {"name": topology.name, "seed": topology.seed}
    if topology.description:
        plain["description"] = topology.description
    if topology.congestion_control:
        plain["congestion_control"] = topology.congestion_control
    plain["nodes"] = {name: _node(node) for name, node in topology.nodes.items()}
    plain["links"] = [_link(link) for link in topology.links]
    return plain


def _node(node: Node) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": node.role, "tier": node.tier}
    if node.labels:
        plain["labels"] = dict(node.labels)
    if node.cores is not None:
        plain["cores"] = node.cores
    if node.memory_bytes is not None:
        plain["memory"] = f"{node.memory_bytes}B"
    return plain


def _link(link: PlannedLink) -> dict[str, Any]:
    forward, backward = _direction(link, "forward"), _direction(link, "backward")
    if forward == backward:
        return {"a": link.a, "b": link.b, **forward}
    return {"a": link.a, "b": link.b, "forward": forward, "backward": backward}


def _direction(link: PlannedLink, name: DirectionName) -> dict[str, Any]:
    conditions = link.conditions.forward if name == "forward" else link.conditions.backward
    plain = conditions.to_dict()
    schedule = link.schedules.get(name)
    if schedule is not None:
        planned = schedule.to_dict()
        plain["schedule"] = planned["steps"]
        if planned["repeat_s"] is not None:
            plain["repeat_s"] = planned["repeat_s"]
    return plain
