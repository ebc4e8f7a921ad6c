"""How functions of a cluster are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skerry.cli.units import moment

if TYPE_CHECKING:
    from skerry.cli.console import Console

CLUSTER_COLUMNS = ("NAME", "APP", "REVISION", "STATE", "PODS", "ADDRESS")


def cluster_row(function: Mapping[str, Any]) -> list[str]:
    """Return what ``skerry list`` says of a function of a cluster, under `CLUSTER_COLUMNS`."""
    pods = function["pods"]
    return [
        str(function["name"]),
        str(function["app"]),
        str(function["revision"]) or "-",
        str(function["state"]),
        f"{sum(1 for pod in pods if pod['ready'])}/{len(pods)}",
        str(function["address"]) or "-",
    ]


def describe_function(console: Console, function: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> None:
    """Show a function of a cluster with its containers and events; secrets are named, never shown."""
    if console.as_json:
        console.json({**function, "events": list(events)})
        return
    container = function["container"]
    facts = {
        **{key: function[key] for key in ("name", "app", "revision", "address")},
        "state": f"{function['state']}: {function['reason']}" if function["reason"] else function["state"],
        "image": container["image"],
        "command": " ".join(container["command"]),
        "secrets": ", ".join(container["secrets"]) or "none",
    }
    for key, value in facts.items():
        console.data(f"{key + ':':<12}{value}")
    rows = [
        *([f"env.{key}", value] for key, value in container["env"].items()),
        *([f"resources.{key}", json.dumps(value)] for key, value in container["resources"].items()),
        *([f"node.{key}", value] for key, value in container["node_selector"].items()),
        *([key, value] for key, value in container["annotations"].items()),
    ]
    if rows:
        console.data("")
        console.table(["SETTING", "VALUE"], rows)
    if function["pods"]:
        console.data("")
        shown = [
            [pod["name"], pod["node"] or "-", "yes" if pod["ready"] else "no", pod["phase"], str(pod["restarts"])]
            for pod in function["pods"]
        ]
        console.table(["POD", "NODE", "READY", "PHASE", "RESTARTS"], shown)
    if events:
        console.data("")
        noted = [[moment(float(one["at"])), one["object"], one["kind"], one["message"]] for one in events]
        console.table(["WHEN", "OBJECT", "EVENT", "MESSAGE"], noted)
