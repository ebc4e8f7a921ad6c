"""Reads the files of the Internet Topology Zoo, GraphML and GML, and writes topologies as TOML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Expat, which this uses, refuses documents whose entities grow out of hand since 2.4.1 (2021).
from xml.etree import ElementTree

from skerry.errors import SpecError
from skerry.testbed.topology.topology import Topology
from skerry.testbed.topology.zoo import Network, Place

GRAPHML = "{http://graphml.graphdrawing.org/xmlns}"
_WORD = re.compile(r'"[^"]*"|\[|\]|[^\s\[\]"]+')


def read_network(path: Path) -> Network:
    """Return the network that a GraphML or GML file holds.

    Raises:
        SpecError: the file cannot be read as one.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        return _read_gml(text, path) if text.lstrip().startswith(("graph", "Creator")) else _read_graphml(text, path)
    except (OSError, ElementTree.ParseError, KeyError, ValueError, IndexError) as error:
        raise SpecError(f"{path} cannot be read as GraphML or GML: {error!r}") from error


def _read_graphml(text: str, path: Path) -> Network:
    root = ElementTree.fromstring(text)  # noqa: S314  # see the import
    names = {key.get("id"): key.get("attr.name", "") for key in root.iter(f"{GRAPHML}key")}
    graph = root.find(f"{GRAPHML}graph")
    if graph is None:
        raise SpecError(f"{path} holds no graph")

    def values(element: ElementTree.Element) -> dict[str, str]:
        return {names[data.get("key")]: data.text or "" for data in element.findall(f"{GRAPHML}data")}

    places = {node.attrib["id"]: _place(values(node), node.attrib["id"]) for node in graph.findall(f"{GRAPHML}node")}
    edges = tuple((edge.attrib["source"], edge.attrib["target"]) for edge in graph.findall(f"{GRAPHML}edge"))
    return Network(name=values(graph).get("Network") or path.stem, places=places, edges=edges)


def _read_gml(text: str, path: Path) -> Network:
    words = iter(_WORD.findall(text))
    graph = dict(_pairs(words)).get("graph")
    if not isinstance(graph, list):
        raise SpecError(f"{path} holds no graph")
    places, edges, name = {}, [], path.stem
    for key, value in graph:
        if key == "node":
            values = dict(value)
            places[str(values["id"])] = _place(values, str(values["id"]))
        elif key == "edge":
            values = dict(value)
            edges.append((str(values["source"]), str(values["target"])))
        elif key == "Network":
            name = str(value)
    return Network(name=name, places=places, edges=tuple(edges))


def _pairs(words: Iterator[str]) -> list[tuple[str, Any]]:
    """Return what a list of GML holds, up to its closing bracket or the end."""
    found: list[tuple[str, Any]] = []
    for key in words:
        if key == "]":
            break
        value = next(words)
        if value == "[":
            found.append((key, _pairs(words)))
        else:
            found.append((key, html.unescape(value.strip('"'))))
    return found


def _place(values: Mapping[str, Any], identifier: str) -> Place:
    latitude, longitude = values.get("Latitude"), values.get("Longitude")
    return Place(
        label=str(values.get("label") or identifier),
        latitude=None if latitude in (None, "") else float(latitude),
        longitude=None if longitude in (None, "") else float(longitude),
    )


def write_topology(topology: Topology) -> str:
    """Return a topology of plain delays as the text of its file."""
    lines = [f'name = "{topology.name}"', f'description = "{topology.description}"']
    for node in topology.nodes.values():
        lines += ["", f"[nodes.{node.name}]"]
        if node.role != "site":
            lines.append(f'role = "{node.role}"')
        if node.role != "router":
            lines.append(f'tier = "{node.tier}"')
    for link in topology.links:
        lines += ["", "[[links]]", f'a = "{link.a}"', f'b = "{link.b}"']
        lines.append(f"delay_ms = {link.conditions.forward.delay_ms:g}")
    return "\n".join(lines) + "\n"
