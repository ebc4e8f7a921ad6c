"""``skerry testbed status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option
from skerry.cli.testbed.options import attach, folder_option
from skerry.cli.units import moment

if TYPE_CHECKING:
    from skerry.testbed.topology import Testbed


@click.command(cls=Command, example="skerry testbed status\nskerry testbed status --json")
@folder_option
@json_option
@click.pass_obj
def status(console: Console, folder: Path) -> None:
    """Show the nodes, how their limits are kept, and the links with what became of their packets."""
    show(console, attach(folder))


def show(console: Console, testbed: Testbed) -> None:
    """Write what a testbed is."""
    found = testbed.describe()
    if console.as_json:
        console.json(found)
        return
    for key, value in (
        ("topology", found["name"]),
        ("phase", found["phase"]),
        ("since", moment(found["created_at"])),
        ("folder", found["folder"]),
        ("links by", found["means"]),
        ("TCP", found["congestion_control"]),
    ):
        console.data(f"{key + ':':<10}{value}")
    console.data("")
    nodes = [
        [name, node["role"], node["tier"], node["address"], node["cores_by"], node["memory_by"]]
        for name, node in found["nodes"].items()
    ]
    console.table(["NODE", "ROLE", "TIER", "ADDRESS", "CORES", "MEMORY"], nodes)
    console.data("")
    columns = ["LINK", "DIRECTION", "CONDITIONS", "MEASURED", "PACKETS", "LOST", "LATE (p99)"]
    console.table(columns, [row for link in found["links"] for row in _rows(link)])


def _rows(link: dict[str, Any]) -> list[list[str]]:
    if "problem" in link:
        return [[link["name"], "-", link["problem"], "-", "-", "-", "-"]]
    rows = []
    for name in ("forward", "backward"):
        report = link["report"]
        counts = report[name]
        late_ms = counts["lateness"].get("p99_ms")
        rows.append(
            [
                link["name"],
                name,
                conditions_text(report["conditions"][name]),
                _measured(link["self_test"], name),
                str(counts["packets"]),
                str(counts["lost"] + counts["overflowed"]),
                "-" if late_ms is None else f"{late_ms:.2f} ms",
            ]
        )
    return rows


def conditions_text(conditions: dict[str, Any]) -> str:
    """Return conditions as one line: the usual ones in words, the others by their names."""
    known = {
        "delay_ms": "{} ms",
        "jitter_ms": "± {} ms",
        "rate_mbps": "{} Mbit/s",
    }
    words = [known[key].format(f"{value:g}") for key, value in conditions.items() if key in known]
    if "loss_ratio" in conditions:
        words.append("cut" if conditions["loss_ratio"] == 1 else f"{conditions['loss_ratio']:.4g} lost")
    others = [f"{key}={value}" for key, value in conditions.items() if key not in known and key != "loss_ratio"]
    return ", ".join([*words, *others]) or "nothing"


def _measured(self_test: dict[str, Any] | None, name: str) -> str:
    if self_test is None:
        return "not measured"
    delay = self_test["states"]["idle"][name]["delay"]
    if not delay["count"]:
        return "nothing passed"
    return f"{delay['mean_ms']:.3g} ± {delay['deviation_ms']:.2g} ms"
