"""``skerry testbed status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option
from skerry.cli.testbed.options import attach, folder_option
from skerry.cli.units import moment
from skerry.testbed.links.conditions import burst_from_dict

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
        [
            name,
            node["role"],
            node["tier"],
            node["address"],
            node.get("engine", "-"),
            node["cores_by"],
            node["memory_by"],
        ]
        for name, node in found["nodes"].items()
    ]
    console.table(["NODE", "ROLE", "TIER", "ADDRESS", "ENGINE", "CORES", "MEMORY"], nodes)
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
    left = dict(conditions)
    words = []
    if "delay_ms" in left:
        words.append(f"{left.pop('delay_ms'):g} ms")
    if "jitter_ms" in left:
        shape = left.pop("jitter_distribution", None)
        words.append(f"± {left.pop('jitter_ms'):g} ms" + (f" {shape}" if shape else ""))
    if "rate_mbps" in left:
        words.append(f"{left.pop('rate_mbps'):g} Mbit/s")
    if "loss_ratio" in left:
        ratio = left.pop("loss_ratio")
        words.append("cut" if ratio == 1 else f"{ratio:.4g} lost")
    if "loss_burst" in left:
        words.append(f"{burst_from_dict(left.pop('loss_burst')).loss_ratio:.4g} lost in bursts")
    return ", ".join([*words, *(f"{key}={value}" for key, value in left.items())]) or "nothing"


def _measured(self_test: dict[str, Any] | None, name: str) -> str:
    if self_test is None:
        return "not measured"
    delay = self_test["states"]["idle"][name]["delay"]
    if not delay["count"]:
        return "nothing passed"
    return f"{delay['mean_ms']:.3g} ± {delay['deviation_ms']:.2g} ms"
