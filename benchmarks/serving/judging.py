"""Medians over the rounds, Skerry's ratios to its peers, and the bars."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.measuring import spread
from benchmarks.serving.peers import BARES, OURS

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
        bare, plain = (next((arm for arm in beside if arm["server"] == name), None) for name in BARES)
        every = [arm for arm in beside if arm["server"] not in BARES]
        guided = [arm for arm in every if arm["server"] not in tuned]
        entry: dict[str, Any] = {"workload": ours["workload"], "connections": ours["connections"]}
        entry["over_uvicorn"] = _ratio(ours, bare, "rate")
        entry["over_uvicorn_plain"] = _ratio(ours, plain, "rate")
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


def added_latency(samples: Iterable[Mapping[str, Any]], bare: str) -> dict[str, dict[str, float]]:
    """Return by workload how much longer Skerry's median answer takes than ``bare``'s at one connection, in ms.

    The difference is taken round by round.

    Args:
        samples: One for each load.
        bare: Which uvicorn, one of ``BARES``.
    """
    medians: dict[str, dict[int, dict[str, float]]] = {}
    for sample in samples:
        if sample["connections"] == 1 and sample["server"] in (OURS, bare):
            rounds = medians.setdefault(sample["workload"], {})
            rounds.setdefault(sample["round"], {})[sample["server"]] = sample["p50_ms"]
    added = {
        workload: [pair[OURS] - pair[bare] for pair in rounds.values() if len(pair) == 2]
        for workload, rounds in medians.items()
    }
    return {workload: spread(values) for workload, values in added.items() if values}


def judge(
    ratios: Iterable[Mapping[str, Any]], added: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> list[dict[str, Any]]:
    """Return the bars of the two workloads, each with its value and whether it is met; none for what did not run.

    A bar on uvicorn is judged against the fast set-up (``value``, ``met``); against the plain one ``plain_value`` and
    ``plain_met`` say the same. They are none where a bar is not on uvicorn, or that one did not run.

    Args:
        ratios: Of :func:`compare`.
        added: Of :func:`added_latency`, by the name of the uvicorn.
    """
    bars: list[dict[str, Any]] = []
    for entry in ratios:
        if entry["workload"] != "echo-traced":
            bare = BARE_BAR_AT_ONE if entry["connections"] == 1 else BARE_BAR
            bars += [
                _bar("requests/s over the best peer", entry, [entry["over_peer"]], at_least=PEER_BAR),
                _bar(
                    "requests/s over uvicorn",
                    entry,
                    [entry["over_uvicorn"], entry["over_uvicorn_plain"]],
                    at_least=bare,
                ),
                _bar("p99 over the best peer's", entry, [entry["p99_over_peer"]], at_most=1.0),
                _bar("errors and wrong answers", entry, [float(entry["faults"])], at_most=0.0),
            ]
    for workload in dict.fromkeys(name for values in added.values() for name in values):
        if workload != "echo-traced":
            medians = [added.get(bare, {}).get(workload, {}).get("median") for bare in BARES]
            place = {"workload": workload, "connections": 1}
            bars.append(_bar("ms added to uvicorn's median", place, medians, at_most=ADDED_BAR_MS))
    return [bar for bar in bars if bar["value"] is not None or bar["plain_value"] is not None]


def _bar(
    name: str,
    place: Mapping[str, Any],
    values: Sequence[float | None],
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> dict[str, Any]:
    """Return a bar: its first value is judged, the second, if there is one, is that against the plain uvicorn."""
    value, plain = [*values, None][:2]
    met, plain_met = (None if one is None else at_least <= one <= at_most for one in (value, plain))
    limit = at_most if at_least == -math.inf else at_least
    found = {"bar": name, "workload": place["workload"], "connections": place["connections"], "limit": limit}
    return {**found, "value": value, "met": met, "plain_value": plain, "plain_met": plain_met}


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
