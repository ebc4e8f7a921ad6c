"""``python -m benchmarks.objective``: a latency objective under bursts, with batches and without.

For each model (`models.py` says which and why): the throughput at saturation in a closed loop, and right after it
bursts in an open loop (`trace.py`) at 70 % of it; five rounds of both, each with bursts of its own, and their medians.
Then the same with batches of one: how far the bursts have to be thinned out until the objective is kept. One worker;
the load generator (`loader.c`) runs on the same machine, and latency counts from when a request was due, not from when
it could be sent.

Done on a quiet machine: nothing else may compete for the processors. A machine that others share is faster at one time
than at another by itself; that is why saturation is measured anew before each trace.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import facts, save
from benchmarks.objective.loader import Loader, Measured
from benchmarks.objective.models import MODELS, make_classifier, time_calls
from benchmarks.objective.server import Server, machine_cpu_s, request
from benchmarks.objective.trace import SHAPES, Shape, ideal_share, make_trace
from benchmarks.serving.workloads import make_model

VERSIONS = ("skerry", "numpy", "onnxruntime", "scikit-learn", "uvloop", "httptools")
MAX_SIZE = 64
LOAD_SHARE = 0.7  # of saturation
BAR_SHARE = 0.98  # of requests within the objective
BAR_RATIO = 2.0  # of the throughput with batches to that without
CLOSED_CONNECTIONS = (64, 128, 256)  # enough to fill a batch while another runs; the best of them is saturation
SEARCH_STEPS = 6
SEARCH_CONNECTIONS = 512  # for the lower rates of batches of one
QUIET_CPUS = 0.1  # more than that worked by others, and a run says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and with what to load.

    Args:
        objective_s: The objective, in seconds.
        trace_s: Length of a trace with batches, in seconds.
        rounds: Traces of each shape with batches.
        search_s: Length of a trace of the search without batches, in seconds.
        closed_s: Length of a closed loop, in seconds.
        connections: Connections of the open loop, enough for one request each: behind another on the same connection,
            a request waits for that one's answer, however early the server has its own.
        seed: Of the first traces; each round adds one.
    """

    objective_s: float
    trace_s: float
    rounds: int
    search_s: float
    closed_s: float
    connections: int
    seed: int


def main() -> int:
    """Measure, print, save; returns 1 where the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.objective", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="the bar is for the first")
    parser.add_argument("--objective-ms", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a trace; a quarter of it in the search")
    parser.add_argument("--rounds", type=int, default=5, help="traces of each shape with batches")
    parser.add_argument("--connections", type=int, default=8192, help="connections of the open loop")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-save", action="store_true", help="do not write benchmarks/results/objective.json")
    arguments = parser.parse_args()
    plan = Plan(
        objective_s=arguments.objective_ms / 1000,
        trace_s=arguments.seconds,
        rounds=arguments.rounds,
        search_s=max(2.0, arguments.seconds / 4),
        closed_s=max(1.0, arguments.seconds / 7),
        connections=arguments.connections,
        seed=arguments.seed,
    )
    result: dict[str, Any] = {"facts": facts(VERSIONS), "objective_ms": arguments.objective_ms, "models": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, _ = make_model(folder / "digits.onnx")
        for model in arguments.models:
            print(f"{model}: measuring", file=sys.stderr, flush=True)
            result["models"][model] = measure(folder, model, images, plan)
            report(model, result["models"][model], plan)
    first = arguments.models[0]
    result["met"] = {shape.name: is_met(result["models"][first], shape) for shape in SHAPES}
    for shape, verdict in result["met"].items():
        print(f"bar ({first}, {shape}): {'met' if verdict else 'MISSED'}")
    if not arguments.no_save:
        print(f"saved {save('objective', result)}")
    return 0 if all(result["met"].values()) else 1


def measure(folder: Path, model: str, images: list[list[float]], plan: Plan) -> dict[str, Any]:
    """Return the figures of one model, with batches and without."""
    file = folder / "digits.onnx"
    classify = make_classifier(model, file)
    # One at a time, so that a server that mixes up a batch cannot be right by the same mistake.
    requests = [(request(image), str(classify([image])[0]).encode()) for image in images]
    loader = Loader(folder, requests)
    alone = time_calls(classify, images[:MAX_SIZE])
    found: dict[str, Any] = {"model_alone": alone, "single": {}}
    with Server(folder, model=model, file=file, max_size=MAX_SIZE, objective_s=plan.objective_s) as server:
        saturation = found["saturation"] = saturate(server, loader, plan)
        runs: dict[str, list[dict[str, Any]]] = {shape.name: [] for shape in SHAPES}
        for number in range(plan.rounds):
            for shape in SHAPES:
                closed = loader.closed_loop(server.port, plan.closed_s, connections=saturation["connections"])
                check_answers(closed, saturation["connections"], plan)
                run = run_trace(server, loader, shape, LOAD_SHARE * closed.rate, plan, seed=plan.seed + number)
                runs[shape.name].append({"saturation_rate": closed.rate, **run})
        found["batched"] = {name: sum_up(those) for name, those in runs.items()}
    with Server(folder, model=model, file=file, max_size=1, objective_s=plan.objective_s) as server:
        single = found["single_saturation"] = saturate(server, loader, plan)
        for shape in SHAPES:
            found["single"][shape.name] = search(server, loader, shape, single["rate"], plan)
    for name, batched in found["batched"].items():
        best = found["single"][name]["best_rate"]
        batched["ratio_to_single"] = batched["mean_rate"] / best if best else None
    return found


def saturate(server: Server, loader: Loader, plan: Plan) -> dict[str, Any]:
    """Return the highest throughput that closed loops reach, after one that warms up."""
    loader.closed_loop(server.port, plan.closed_s / 2, connections=CLOSED_CONNECTIONS[0])
    loads = {n: loader.closed_loop(server.port, plan.closed_s, connections=n) for n in CLOSED_CONNECTIONS}
    for connections, load in loads.items():
        check_answers(load, connections, plan)
    best = max(loads, key=lambda n: loads[n].rate)
    rates = {str(n): round(load.rate, 1) for n, load in loads.items()}
    return {"rate": loads[best].rate, "connections": best, "rates": rates, **loads[best].describe(plan.objective_s)}


def check_answers(load: Measured, connections: int, plan: Plan) -> None:
    """Raise an error where an answer was wrong or missing: its rate would say nothing."""
    if load.errors:
        told = {**load.describe(plan.objective_s)["statuses"], **load.summary}
        raise RuntimeError(f"{load.errors} wrong or missing answers at {connections} connections: {told}")


def sum_up(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the runs of one shape, and the medians and spreads of what they found."""
    shares = [run["within_objective"] for run in runs]
    return {
        "mean_rate": median(run["trace"]["mean_rate"] for run in runs),
        "within_objective": median(shares),
        "within_objective_range": [min(shares), max(shares)],
        "errors": sum(run["errors"] for run in runs),
        "runs": runs,
    }


def run_trace(server: Server, loader: Loader, shape: Shape, rate: float, plan: Plan, *, seed: int) -> dict[str, Any]:
    """Send one trace and return what became of it."""
    trace = make_trace(shape, mean_rate=rate, length_s=plan.trace_s, seed=seed)
    before, cpu_s, all_s = server.batching(), server.cpu_s(), machine_cpu_s()
    load: Measured = loader.open_loop(server.port, trace.due_s, connections=plan.connections)
    cpu_s, all_s = server.cpu_s() - cpu_s, machine_cpu_s() - all_s
    after = server.batching()
    took_s, loader_s = load.summary["took_s"], load.summary["cpu_s"]
    return {
        "trace": trace.describe(),
        **load.describe(plan.objective_s),
        "ideal_share": ideal_share(trace, rate=rate / LOAD_SHARE, objective_s=plan.objective_s),
        "cpus": {
            "server": cpu_s / took_s,
            "loader": loader_s / took_s,
            "others": max(0.0, all_s - cpu_s - loader_s) / took_s,
        },
        "batches": batches(before, after),
    }


def batches(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    """Return what the metrics tell of the batches between two readings of them."""
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    count, items = grown.get("skerry_batch_size_count", 0.0), grown.get("skerry_batch_size_sum", 0.0)
    below = {
        name.rpartition(" ")[2]: value for name, value in grown.items() if name.startswith("skerry_batch_size_bucket ")
    }
    return {
        "count": count,
        "mean_size": items / count if count else None,
        "share_up_to_size": {size: round(value / count, 4) for size, value in below.items()} if count else {},
        "reasons": {
            name.rpartition("skerry_batches_total ")[2]: value
            for name, value in grown.items()
            if name.startswith("skerry_batches_total ") and value
        },
        "learnt_s": {
            name.rpartition(" ")[2]: value for name, value in after.items() if name.startswith("skerry_batch_model")
        },
    }


def search(server: Server, loader: Loader, shape: Shape, saturation: float, plan: Plan) -> dict[str, Any]:
    """Return the highest rate at which the bursts are served within the objective, up to saturation, by bisection."""
    tried: dict[float, float] = {}

    def is_kept(share: float) -> bool:
        trace = make_trace(shape, mean_rate=share * saturation, length_s=plan.search_s, seed=plan.seed)
        load = loader.open_loop(server.port, trace.due_s, connections=SEARCH_CONNECTIONS)
        tried[share * saturation] = load.share_within(plan.objective_s)
        return tried[share * saturation] >= BAR_SHARE

    best = bisect(is_kept, 0.0, 1.0, SEARCH_STEPS) * saturation
    return {
        "best_rate": best,
        "tried": [{"mean_rate": rate, "within_objective": tried[rate]} for rate in sorted(tried)],
    }


def bisect(is_good: Callable[[float], bool], good: float, bad: float, steps: int) -> float:
    """Return the highest value found good; ``good`` itself where none is."""
    for _ in range(steps):
        middle = (good + bad) / 2
        if is_good(middle):
            good = middle
        else:
            bad = middle
    return good


def is_met(found: dict[str, Any], shape: Shape) -> bool:
    """Return whether the bar is met under bursts of this shape."""
    batched = found["batched"][shape.name]
    ratio = batched["ratio_to_single"]
    return batched["within_objective"] >= BAR_SHARE and (ratio is None or ratio >= BAR_RATIO)


def report(model: str, found: dict[str, Any], plan: Plan) -> None:
    """Print the figures of one model."""
    alone, saturation = found["model_alone"], found["saturation"]
    print(f"\n{model}: a call alone takes {alone['a_s'] * 1e6:.1f} us * items + {alone['b_s'] * 1e6:.0f} us")
    print(
        f"  saturation {saturation['rate']:9.0f}/s in batches of up to {MAX_SIZE} ({saturation['connections']} conn.)"
    )
    print(f"  saturation {found['single_saturation']['rate']:9.0f}/s in batches of one")
    for name, batched in found["batched"].items():
        best, runs = found["single"][name]["best_rate"], batched["runs"]
        lowest, highest = batched["within_objective_range"]
        ratio = f"{batched['ratio_to_single']:.1f} times as much" if best else "more than any of theirs"
        print(
            f"  {name}: {batched['mean_rate']:.0f}/s, {batched['within_objective']:.2%} within "
            f"{plan.objective_s * 1000:g} ms ({lowest:.2%} to {highest:.2%}), errors {batched['errors']}\n"
            f"    batches of one keep the objective under the same bursts up to {best:.0f}/s; this is {ratio}"
        )
        for run in runs:
            report_run(run, plan)


def report_run(run: dict[str, Any], plan: Plan) -> None:
    """Print the figures of one trace."""
    latency, batch, cpus = run["latency_ms"], run["batches"], run["cpus"]
    learnt = ", ".join(f"{term} {value * 1e6:.1f} us" for term, value in batch["learnt_s"].items())
    print(
        f"    {run['trace']['mean_rate']:.0f}/s: {run['within_objective']:.2%} (ideal {run['ideal_share']:.2%}); "
        f"p50 {latency['p50']:.1f}  p98 {latency['p98']:.1f}  p99 {latency['p99']:.1f}  p99.9 {latency['p99.9']:.1f}  "
        f"max {latency['max']:.1f} ms; sent late p99 {run['sent_late_ms']['p99']:.2f} ms\n"
        f"      processors: {', '.join(f'{who} {used:.2f}' for who, used in cpus.items())}; "
        f"batches of {batch['mean_size'] or 0:.1f}; learnt {learnt or 'not told'}"
    )
    if run["loader"]["deepest"] > 1:
        print(f"      {plan.connections} connections were too few: requests waited for answers to others")
    if cpus["others"] > QUIET_CPUS:
        print("      NOT VALID: other processes worked beside it; measure on a quiet machine")


if __name__ == "__main__":
    sys.exit(main())
