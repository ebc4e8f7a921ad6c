"""``skerry describe``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.options import Command, complete_function, json_option
from skerry.cli.units import count, duration, moment

EVENTS_SHOWN = 10
GROUPS = ("scale", "batch")  # options that are groups of options


@click.command(cls=Command, example="skerry describe train")
@click.argument("name", shell_complete=complete_function)
@destination_options
@json_option
@click.pass_obj
def describe(console: Console, name: str, destination: Destination) -> None:
    """Show a function with its options and events."""
    platform = destination.cluster_platform()
    if platform is not None:
        from skerry.cli.clusters import describe_function

        describe_function(console, platform.function(name), platform.events(function=name)[-EVENTS_SHOWN:])
        return
    engine = destination.engine()
    function = engine.function(name)
    events = engine.events(function=name)[-EVENTS_SHOWN:]
    if console.as_json:
        console.json({**function, "events": events})
        return
    for key in ("name", "app", "revision", "address", "queued", "in_flight"):
        console.data(f"{key + ':':<12}{function[key]}")
    counts = ", ".join(f"{count} {state}" for state, count in function["workers"].items())
    console.data(f"{'workers:':<12}{counts}")
    console.data(f"{'batches:':<12}{_batches(function.get('dispatch', {}))}")
    console.data(f"{'scaling:':<12}{_scaling(function.get('scaling', {}))}")
    console.data(f"{'last error:':<12}{function.get('last_error') or 'none'}")
    console.data("")
    console.table(["OPTION", "VALUE", "HONOURED BY"], _option_rows(function["spec"], function.get("support", {})))
    for side, schema in function.get("schema", {}).items():
        console.data(f"\n{side}:\n{json.dumps(schema, indent=2)}")
    if events:
        console.data("")
        console.table(["WHEN", "EVENT", "DETAILS"], [_event_row(event) for event in events])


def _batches(dispatch: Mapping[str, Any]) -> str:
    """Return what was learnt about the time of a batch, and how large the last one was and why."""
    objective_s, per_item_s, fixed_s = (dispatch.get(key) for key in ("objective_s", "a_s", "b_s"))
    if objective_s is None:
        service_s = dispatch.get("service_s")
        return "none" if service_s is None else f"none; a call takes a worker {duration(service_s)}"
    parts = [f"objective {duration(objective_s)}"]
    if per_item_s is not None and fixed_s is not None:
        parts.append(f"n calls take {duration(per_item_s)} * n + {duration(fixed_s)}")
    if dispatch.get("size") is not None:
        waited = count(dispatch.get("queued_then", 0), "call")
        parts.append(f"last {dispatch['size']} of {waited} that waited ({dispatch['reason']})")
    if dispatch.get("late"):
        parts.append(f"{count(dispatch['late'], 'call')} late, behind those that can be in time")
    return "; ".join(parts)


def _scaling(scaling: Mapping[str, Any]) -> str:
    """Return what the autoscaler wants, why, and what it has seen."""
    if "desired" not in scaling:
        return "nothing decided yet"
    is_rate = scaling["metric"] == "rps"
    unit = "requests/s" if is_rate else "requests at a time"
    parts = [f"{count(scaling['desired'], 'worker')} wanted ({scaling['reason']})"]
    if scaling["requested"] != scaling["desired"]:
        parts.append(f"{scaling['requested']} asked for, by the fair shares of the machine")
    windows = f"{scaling['panic_value']:.3g} lately, {scaling['stable']:.3g} over the stable window"
    parts.append(f"{unit}: {windows}{', in panic' if scaling['panic'] else ''}")
    return "; ".join(parts)


def _option_rows(spec: Mapping[str, Any], support: Mapping[str, Any], prefix: str = "") -> list[list[str]]:
    rows: list[list[str]] = []
    for key, value in spec.items():
        if key in GROUPS and isinstance(value, Mapping):
            rows += _option_rows(value, support, f"{key}.")
        elif key != "name":
            shown = "none" if value is None else json.dumps(value) if isinstance(value, (dict, bool)) else str(value)
            rows.append([prefix + key, shown, ", ".join(_places(prefix + key, support))])
    return rows


def _places(option: str, support: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return the platforms that honour an option; of a group that is not set, those that honour any of its options."""
    if option not in GROUPS:
        return support.get(option, ())
    return sorted({place for name, places in support.items() if name.startswith(f"{option}.") for place in places})


def _event_row(event: Mapping[str, Any]) -> list[str]:
    rest = {key: value for key, value in event.items() if key not in ("at", "function", "kind")}
    return [moment(float(event["at"])), str(event["kind"]), json.dumps(rest) if rest else ""]
