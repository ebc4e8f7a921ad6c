"""What the benchmark prints, and its chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import line
from benchmarks.serving.peers import BARES, OURS

SHORT = "uvicorn: uvloop and httptools; uvicorn-plain: asyncio and h11"
WHICH_IS_WHICH = (
    "uvicorn is the fast set-up (uvloop and httptools, its 'standard' extra), against which the bars are judged; "
    "uvicorn-plain is the same application after a plain 'pip install uvicorn' (asyncio and h11)."
)


def print_result(result: Mapping[str, Any]) -> None:
    """Print tables of medians, ratios and bars."""
    # A width of its own, so that a file or a pipe gets the same table as a wide terminal.
    console = Console(width=150, highlight=False)
    facts = result["facts"]
    console.print(f"{facts['date']}, {facts['processor']}, {facts['processors']} processors, Python {facts['python']}")
    console.print(result["method"])
    console.print(arms_table(result["arms"]))
    if result["ratios"]:
        console.print(ratios_table(result["ratios"]))
    for bare in BARES:
        for workload, values in result["added_ms"][bare].items():
            console.print(line(f"{workload}: added to {bare}", values, "ms"))
    for cost in result["traced"]:
        console.print(
            f"{cost['server']} keeps {cost['kept']:.0%} of its echo rate at {cost['connections']} connections "
            "when every request carries traceparent"
        )
    if result["bars"]:
        console.print(bars_table(result["bars"]))
    for failure in result["failures"]:
        console.print(f"FAILED {failure['server']}, {failure['workload']}: {failure['error'].splitlines()[0]}")


def arms_table(arms: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of medians, the fastest first within each workload and number of connections."""
    table = Table(title="Medians over the rounds, quartiles in brackets")
    for name in ("workload", "connections", "server"):
        table.add_column(name, justify="right" if name == "connections" else "left")
    for name in ("requests/s", "p50 ms", "p99 ms", "CPU s per 1,000", "errors", "wrong"):
        table.add_column(name, justify="right")
    places = list(dict.fromkeys((arm["workload"], arm["connections"]) for arm in arms))
    for workload, connections in places:
        beside = [arm for arm in arms if (arm["workload"], arm["connections"]) == (workload, connections)]
        for arm in sorted(beside, key=lambda arm: -arm["rate"]["median"]):
            rate, cost = arm["rate"], arm["cpu_s_per_1000"]
            table.add_row(
                workload,
                str(connections),
                arm["server"],
                f"{rate['median']:,.0f} [{rate['p25']:,.0f} - {rate['p75']:,.0f}]",
                f"{arm['p50_ms']['median']:.3f}",
                f"{arm['p99_ms']['median']:.3f}",
                f"{cost['median']:.3f}" if cost else "-",
                str(arm["errors"]),
                str(arm["wrong"]),
                style="bold" if arm["server"] == OURS else None,
            )
        table.add_section()
    return table


def ratios_table(ratios: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of Skerry's ratios."""
    table = Table(title="Skerry over its peers (ratios of medians)", caption=SHORT)
    for name in (
        "workload",
        "connections",
        "requests/s / best peer",
        "/ best with tuned ones",
        "/ uvicorn",
        "/ uvicorn-plain",
        "p99 / lowest of a peer",
    ):
        table.add_column(name, justify="left" if name == "workload" else "right")
    for entry in ratios:
        table.add_row(
            entry["workload"],
            str(entry["connections"]),
            _times(entry["over_peer"], entry["best_peer"]),
            _times(entry["over_tuned"], entry["best_tuned"]),
            _times(entry["over_uvicorn"], None),
            _times(entry["over_uvicorn_plain"], None),
            _times(entry["p99_over_peer"], entry["best_p99"]),
        )
    return table


def bars_table(bars: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of the bars: the verdict is against the fast uvicorn, the last column against the plain one."""
    table = Table(title="The bars", caption=SHORT)
    for name in ("workload", "connections", "measure", "bar", "value", "verdict", "with uvicorn-plain instead"):
        table.add_column(name, justify="right" if name in ("connections", "bar", "value") else "left")
    for bar in bars:
        plain = _verdict(bar["plain_met"])
        table.add_row(
            bar["workload"],
            str(bar["connections"]),
            bar["bar"],
            f"{bar['limit']:g}",
            "-" if bar["value"] is None else f"{bar['value']:.2f}",
            _verdict(bar["met"]),
            plain if bar["plain_value"] is None else f"{bar['plain_value']:.2f} {plain}",
            style="bold" if bar["met"] is False else None,
        )
    return table


def _verdict(met: bool | None) -> str:
    return "-" if met is None else "met" if met else "MISSED"


def _times(ratio: float | None, whom: str | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.2f} ({whom})" if whom else f"{ratio:.2f}"


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Draw the medians of requests per second as bars, whiskers from quartile to quartile, and write a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    arms = result["arms"]
    workloads = [name for name in dict.fromkeys(arm["workload"] for arm in arms) if name != "echo-traced"]
    servers = [name for name in result["servers"] if any(arm["server"] == name for arm in arms)]
    figure, axes = plt.subplots(1, len(workloads), figsize=(6.5 * len(workloads), 4.5), squeeze=False)
    for axis, workload in zip(axes[0], workloads, strict=True):
        groups = sorted({arm["connections"] for arm in arms if arm["workload"] == workload})
        for i, server in enumerate(servers):
            rates = {
                arm["connections"]: arm["rate"]
                for arm in arms
                if (arm["workload"], arm["server"]) == (workload, server)
            }
            there = [(place, rates[group]) for place, group in enumerate(groups) if group in rates]
            axis.bar(
                [place + (i - (len(servers) - 1) / 2) * 0.8 / len(servers) for place, _ in there],
                [rate["median"] for _, rate in there],
                0.8 / len(servers),
                yerr=[
                    [rate["median"] - rate["p25"] for _, rate in there],
                    [rate["p75"] - rate["median"] for _, rate in there],
                ],
                label=server,
            )
        axis.set(title=workload, yscale="log", xlabel="connections", ylabel="requests/s (log scale)")
        lowest = min(arm["rate"]["median"] for arm in arms if arm["workload"] == workload)
        axis.set_ylim(bottom=10 ** math.floor(math.log10(max(lowest, 1))))
        axis.set_xticks(range(len(groups)), [str(group) for group in groups])
    axes[0][-1].legend(fontsize="small")
    figure.suptitle(f"{result['facts']['date']}, {result['facts']['processors']} processors", fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
