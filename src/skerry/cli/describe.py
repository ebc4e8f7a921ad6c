"""``skerry describe``."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, complete_function, connect, home_option, json_option

EVENTS_SHOWN = 10


@click.command(cls=Command, example="skerry describe train")
@click.argument("name", shell_complete=complete_function)
@home_option
@json_option
@click.pass_obj
def describe(console: Console, name: str, home: Path) -> None:
    """Show a function with its options and events."""
    engine = connect(home)
    function = engine.function(name)
    events = engine.events(function=name)[-EVENTS_SHOWN:]
    if console.as_json:
        console.json({**function, "events": events})
        return
    for key in ("name", "app", "revision", "address", "queued", "in_flight"):
        console.data(f"{key + ':':<12}{function[key]}")
    counts = ", ".join(f"{count} {state}" for state, count in function["workers"].items())
    console.data(f"{'workers:':<12}{counts}")
    console.data(f"{'last error:':<12}{function.get('last_error') or 'none'}")
    console.data("")
    console.table(["OPTION", "VALUE", "HONOURED BY"], _option_rows(function["spec"], function.get("support", {})))
    for side, schema in function.get("schema", {}).items():
        console.data(f"\n{side}:\n{json.dumps(schema, indent=2)}")
    if events:
        console.data("")
        console.table(["WHEN", "EVENT", "DETAILS"], [_event_row(event) for event in events])


def _option_rows(spec: Mapping[str, Any], support: Mapping[str, Any], prefix: str = "") -> list[list[str]]:
    rows: list[list[str]] = []
    for key, value in spec.items():
        if key == "scale" and isinstance(value, Mapping):
            rows += _option_rows(value, support, "scale.")
        elif key != "name":
            shown = "none" if value is None else json.dumps(value) if isinstance(value, (dict, bool)) else str(value)
            rows.append([prefix + key, shown, ", ".join(support.get(prefix + key, ()))])
    return rows


def _event_row(event: Mapping[str, Any]) -> list[str]:
    rest = {key: value for key, value in event.items() if key not in ("at", "function", "kind")}
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(event["at"])))
    return [when, str(event["kind"]), json.dumps(rest) if rest else ""]
