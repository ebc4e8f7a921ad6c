"""Medians over the rounds, Skerry's ratios to its peers, and the bars."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.measuring import spread
from benchmarks.serving.peers import BARE, OURS

MEASURES = ("rate", "p50_ms", "p99_ms", "cpu_s_per_1000")
PEER_BAR = 2.0
BARE_BAR = 2.5
BARE_BAR_AT_ONE = 0.7
ADDED_BAR_MS = 0.15

Arm = dict[str, Any]


def summarise(samples: Iterable[Mapping[str, Any]]) -> list[Arm]:
    """Return one arm for each workload, number of connections and server, in the order of the samples."""
    grouped: dict[tuple[str, int, str], list[Mapping[str, Any]]] = {}
    for sample in samples:
        grouped.setdefault((sample["workload"], sample["connections"], sample["server"]), []).append(sample)
    arms = []
    for (workload, connections, server), group in grouped.items():
        arm: Arm = {"workload": workload, "connections": connections, "server": server}
        for measure in MEASURES:
            values = [sample[measure] for sample in group if sample[measure] is not None]
            arm[measure] = spread(values) if values else None
        arm["errors"] = sum(sum(sample["errors"].values()) for sample in group)
        arm["wrong"] = sum(sample["wrong"] for sample in group)
        arms.append(arm)
    return arms


def compare(arms: Sequence[Arm], tuned: Collection[str]) -> list[dict[str, Any]]:
    """Return Skerry's ratios, one entry for each workload and number of connections that Skerry ran.

    Args:
        arms: Of :func:`summarise`.
        tuned: Servers set up beyond their guide, which ``over_peer`` leaves out and ``over_tuned`` takes in.
    """
    found = []
    for ours in (arm for arm in arms if arm["server"] == OURS):
        beside = [arm for arm in arms if _place(arm) == _place(ours) and arm is not ours]
        bare = next((arm for arm in beside if arm["server"] == BARE), None)
        every = [arm for arm in beside if arm["server"] != BARE]
        guided = [arm for arm in every if arm["server"] not in tuned]
        entry: dict[str, Any] = {"workload": ours["workload"], "connections": ours["connections"]}
        entry["over_uvicorn"] = _ratio(ours, bare, "rate")
        for name, peers in (("peer", guided), ("tuned", every if len(every) > len(guided) else [])):
            fastest = max(peers, key=_median("rate"), default=None)
            entry[f"best_{name}"] = fastest and fastest["server"]
            entry[f"over_{name}"] = _ratio(ours, fastest, "rate")
        quickest = min(guided, key=_median("p99_ms"), default=None)
        entry["best_p99"] = quickest and quickest["server"]
        entry["p99_over_peer"] = _ratio(ours, quickest, "p99_ms")
        entry["faults"] = ours["errors"] + ours["wrong"]
        found.append(entry)
    return found


def added_latency(samples: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return by workload how much longer Skerry's median answer takes than uvicorn's at one connection, in ms.

    The difference is taken round by round.
    """
    medians: dict[str, dict[int, dict[str, float]]] = {}
    for sample in samples:
        if sample["connections"] == 1 and sample["server"] in (OURS, BARE):
            rounds = medians.setdefault(sample["workload"], {})
            rounds.setdefault(sample["round"], {})[sample["server"]] = sample["p50_ms"]
    added = {
        workload: [pair[OURS] - pair[BARE] for pair in rounds.values() if len(pair) == 2]
        for workload, rounds in medians.items()
    }
    return {workload: spread(values) for workload, values in added.items() if values}


def judge(ratios: Iterable[Mapping[str, Any]], added: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Return the bars of the two workloads, each with its value and whether it is met; none for what did not run."""
    bars: list[dict[str, Any]] = []

    def bar(name: str, entry: Mapping[str, Any], value: float | None, limit: float, *, at_least: bool) -> None:
        if value is not None:
            met = value >= limit if at_least else value <= limit
            place = {"workload": entry["workload"], "connections": entry["connections"]}
            bars.append({"bar": name, **place, "value": value, "limit": limit, "met": met})

    for entry in ratios:
        if entry["workload"] == "echo-traced":
            continue
        bare = BARE_BAR_AT_ONE if entry["connections"] == 1 else BARE_BAR
        bar("requests/s over the best peer", entry, entry["over_peer"], PEER_BAR, at_least=True)
        bar("requests/s over uvicorn", entry, entry["over_uvicorn"], bare, at_least=True)
        bar("p99 over the best peer's", entry, entry["p99_over_peer"], 1.0, at_least=False)
        bar("errors and wrong answers", entry, float(entry["faults"]), 0.0, at_least=False)
    for workload, values in added.items():
        if workload != "echo-traced":
            entry = {"workload": workload, "connections": 1}
            bar("ms added to uvicorn's median", entry, values["median"], ADDED_BAR_MS, at_least=False)
    return bars


def traced_cost(samples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what share of its rate each server keeps when every request carries ``traceparent``."""
    rates: dict[tuple[str, int, str], list[float]] = {}
    for sample in samples:
        rates.setdefault((sample["server"], sample["connections"], sample["workload"]), []).append(sample["rate"])
    return [
        {"server": server, "connections": connections, "kept": statistics.median(traced) / statistics.median(plain)}
        for (server, connections, workload), traced in rates.items()
        if workload == "echo-traced" and (plain := rates.get((server, connections, "echo")))
    ]


def _place(arm: Arm) -> tuple[str, int]:
    return arm["workload"], arm["connections"]


def _median(measure: str) -> Callable[[Arm], float]:
    return lambda arm: float(arm[measure]["median"])


def _ratio(ours: Arm, theirs: Arm | None, measure: str) -> float | None:
    if theirs is None or not theirs[measure]["median"]:
        return None
    return float(ours[measure]["median"] / theirs[measure]["median"])
