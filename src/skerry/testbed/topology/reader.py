"""Topologies as TOML files: every key is known, and an error says where in the file it is."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from skerry.errors import SpecError
from skerry.spec.quantity import parse_size
from skerry.testbed.links import Conditions, DirectionName, LinkConditions, Schedule, read_trace
from skerry.testbed.topology.topology import Node, PlannedLink, Topology

TOP_KEYS = ("name", "description", "seed", "congestion_control", "nodes", "links")
NODE_KEYS = ("role", "tier", "labels", "cores", "memory")
CONDITION_KEYS = tuple(item.name for item in dataclasses.fields(Conditions))
SCHEDULE_KEYS = ("schedule", "trace", "repeat_s")
DIRECTION_KEYS = (*CONDITION_KEYS, *SCHEDULE_KEYS)
LINK_KEYS = ("a", "b", *DIRECTION_KEYS, "forward", "backward")


def shipped_topologies() -> list[str]:
    """Return the names of the topologies that come with Skerry."""
    folder = resources.files("skerry.testbed.topology") / "files"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def read_topology(source: str | Path) -> Topology:
    """Return the topology of a file, or one that comes with Skerry, by its name.

    Args:
        source: Path of a TOML file, or a name such as ``6g-edge``.

    Raises:
        SpecError: there is no such file, or it does not describe a topology; the message says where.
    """
    path = Path(source)
    if path.exists():
        return _read(path.read_bytes(), where=str(path), folder=path.parent)
    name = str(source).removesuffix(".toml")
    if name in shipped_topologies():
        file = resources.files("skerry.testbed.topology") / "files" / f"{name}.toml"
        return _read(file.read_bytes(), where=f"{name}.toml", folder=Path())
    raise SpecError(f"there is no file {source}, and no topology of that name: {', '.join(shipped_topologies())}")


def _read(content: bytes, *, where: str, folder: Path) -> Topology:
    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{where} is no TOML: {error}") from error
    return parse_topology(table, where=where, folder=folder)


def parse_topology(table: Mapping[str, Any], *, where: str, folder: Path) -> Topology:
    """Return the topology that plain data describe, in the form of the file.

    Args:
        table: What the TOML file holds.
        where: Where it comes from, for messages.
        folder: Where relative names of traces begin.

    Raises:
        SpecError: an unknown key, a wrong type or a value out of range; the message holds the path of the key.
    """
    try:
        _require_keys(table, TOP_KEYS, "")
        name = _text(table, "name", required=True)
        seed = table.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise SpecError(f"seed is {seed!r}; it must be a whole number")
        return Topology(
            name=name,
            description=_text(table, "description"),
            seed=seed,
            congestion_control=_text(table, "congestion_control") or None,
            nodes=_nodes(table.get("nodes")),
            links=tuple(_link(values, f"links[{index}]", folder) for index, values in _rows(table.get("links"))),
        )
    except SpecError as error:
        raise SpecError(f"{where}: {error.message}") from error


def _nodes(table: object) -> dict[str, Node]:
    if not isinstance(table, Mapping) or not table:
        raise SpecError("there are no nodes; write each as [nodes.NAME]")
    found = {}
    for name, values in table.items():
        place = f"nodes.{name}"
        if not isinstance(values, Mapping):
            raise SpecError(f"{place} is {values!r}; write it as a table, [nodes.{name}]")
        _require_keys(values, NODE_KEYS, f"{place}.")
        given = {key: value for key, value in values.items() if key != "memory"}
        try:
            if "memory" in values:
                given["memory_bytes"] = parse_size(values["memory"], key="memory")
            found[name] = Node(name=name, **given)
        except SpecError as error:
            raise SpecError(f"{place}: {error.message}") from error
    return found


def _rows(rows: object) -> list[tuple[int, Mapping[str, Any]]]:
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(values, Mapping) for values in rows):
        raise SpecError("links: write each as [[links]]")
    return list(enumerate(rows))


def _link(values: Mapping[str, Any], place: str, folder: Path) -> PlannedLink:
    _require_keys(values, LINK_KEYS, f"{place}.")
    ends = [_text(values, key, required=True, place=f"{place}.") for key in ("a", "b")]
    both = {key: value for key, value in values.items() if key in DIRECTION_KEYS}
    conditions: dict[str, Conditions] = {}
    schedules: dict[DirectionName, Schedule] = {}
    names: tuple[DirectionName, DirectionName] = ("forward", "backward")
    for name in names:
        own = values.get(name, {})
        if not isinstance(own, Mapping):
            raise SpecError(f"{place}.{name} is {own!r}; it must be a table")
        _require_keys(own, DIRECTION_KEYS, f"{place}.{name}.")
        merged = {**both, **own}
        if "loss_ratio" in own and "loss_burst" not in own:
            merged.pop("loss_burst", None)
        if "loss_burst" in own and "loss_ratio" not in own:
            merged.pop("loss_ratio", None)
        if {"schedule", "trace"} & set(own):
            merged = {key: value for key, value in merged.items() if key not in {"schedule", "trace"} or key in own}
        try:
            conditions[name] = Conditions.from_dict({k: v for k, v in merged.items() if k in CONDITION_KEYS})
            schedule = _schedule(conditions[name], merged, folder)
        except SpecError as error:
            raise SpecError(f"{place}{'.' + name if own else ''} ({'--'.join(ends)}): {error.message}") from error
        if schedule is not None:
            schedules[name] = schedule
    return PlannedLink(a=ends[0], b=ends[1], conditions=LinkConditions(**conditions), schedules=schedules)


def _schedule(base: Conditions, values: Mapping[str, Any], folder: Path) -> Schedule | None:
    if "schedule" in values and "trace" in values:
        raise SpecError("both schedule and trace are given; keep one")
    rows: Any = values.get("schedule")
    if "trace" in values:
        if not isinstance(values["trace"], str):
            raise SpecError(f"trace is {values['trace']!r}; it must be the name of a CSV file")
        rows = read_trace(folder / values["trace"])
    repeat_s = values.get("repeat_s")
    if repeat_s is not None and (isinstance(repeat_s, bool) or not isinstance(repeat_s, int | float)):
        raise SpecError(f"repeat_s is {repeat_s!r}; it must be a number of seconds")
    if rows is None:
        if repeat_s is not None:
            raise SpecError("repeat_s is given without a schedule or a trace")
        return None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise SpecError("schedule: write it as a list of tables, each with at_s and what changes")
    return Schedule.from_rows(base, rows, repeat_s)


def _text(table: Mapping[str, Any], key: str, *, required: bool = False, place: str = "") -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or (required and not value):
        raise SpecError(f"{place}{key} is {value!r}; it must be a text" if key in table else f"{place}{key} is missing")
    return value


def _require_keys(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in table:
        if key not in known:
            raise SpecError(f"{place}{key} is not known; there are {', '.join(known)}", field=f"{place}{key}")
