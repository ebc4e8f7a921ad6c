"""Measure what a round costs: `python -m benchmarks.federated.rounds [--rounds 300] [--flower PYTHON]`.

Method. Clients that train nothing, warm, behind HTTP on loopback; the coordinator in this process, its folder on the
disk. A round is timed from the end of the one before to its own end: choice, tasks, replies checked and on disk,
aggregation, and the new model on disk. The first rounds, in which connections open and workers start, are left out. The
second arm has the clients evaluate the model in each round too; the third has the CNN of paper 003's 317,066
parameters. With ``--flower``, the path of a Python that has ``flwr[simulation]``, Flower's simulation runs the same
empty round between the first arm and the second (`flower_rounds.py`); otherwise that is left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import facts, save, spread
from skerry.learn.federated import Federation, Member, Plan
from skerry.platforms.engine import EnginePlatform, start_engine

APP = Path(__file__).parent / "empty_app.py"
VERSIONS = ("skerry", "numpy", "uvloop", "pydantic")
CLIENTS = 3
LEFT_OUT = 20
FLOWER_ROUNDS = 100  # a tenth of a second each
BAR_MEDIAN_MS, BAR_P99_MS = 10.0, 25.0
ARMS = {
    "empty": {"size": 10, "evaluate_every": 0},
    "evaluated": {"size": 10, "evaluate_every": 1},
    "paper-003": {"size": 317_066, "evaluate_every": 0},
}


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="rounds to measure of each arm")
    parser.add_argument("--engines", type=int, default=1, help="engines that the three clients are on")
    parser.add_argument("--flower", metavar="PYTHON", help="a Python that has flwr[simulation]")
    arguments = parser.parse_args()
    flower = None
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        engines = [start_engine(Path(folder, f"site-{n}"), port=0, leashed=True) for n in range(arguments.engines)]
        try:
            for engine in engines:
                engine.platform.deploy(str(APP))
            places = {f"site-{n}": EnginePlatform(engine.address, expected=True) for n, engine in enumerate(engines)}
            arms = {}
            for name, arm in ARMS.items():
                arms[name] = measure(Path(folder, name), name, places, arguments.rounds, arm)
                if flower is None and arguments.flower:
                    flower = measure_flower(arguments.flower, min(arguments.rounds, FLOWER_ROUNDS))
        finally:
            for engine in engines:
                engine.stop()
    result = {
        "facts": facts(VERSIONS),
        "engines": arguments.engines,
        "clients": CLIENTS,
        "arms": arms,
        "flower": flower,
    }
    for name, arm in arms.items():
        print(
            f"{name:10}  median {arm['ms']['median']:.2f} ms   p99 {arm['p99_ms']:.2f} ms   phases {arm['phases_ms']}"
        )
    if flower is None:
        print("flower      left out: give --flower the path of a Python that has flwr[simulation]")
    else:
        print(f"flower      median {flower['ms']['median']:.2f} ms   p99 {flower['p99_ms']:.2f} ms")
    is_met = arms["empty"]["ms"]["median"] < BAR_MEDIAN_MS and arms["empty"]["p99_ms"] < BAR_P99_MS
    print(f"an empty round: {'within' if is_met else 'BEYOND'} {BAR_MEDIAN_MS:g} ms median and {BAR_P99_MS:g} ms p99")
    print(f"written to {save('federated_rounds', result)}")
    return 0


def measure(
    folder: Path, name: str, places: dict[str, EnginePlatform], rounds: int, arm: dict[str, Any]
) -> dict[str, Any]:
    """Run one arm."""
    sites = list(places)
    plan = Plan(
        job=f"rounds-{name}",
        members=tuple(Member(name=f"client-{n}", site=sites[n % len(sites)]) for n in range(CLIENTS)),
        rounds=rounds + LEFT_OUT,
        settings={"size": arm["size"]},
        evaluate_every=arm["evaluate_every"],
    )
    took_ms: list[float] = []
    phases: dict[str, list[float]] = {}
    before_s = time.perf_counter()
    for event in Federation(folder, plan, places=dict(places)).events():
        if event.kind == "round-ended":
            now_s = time.perf_counter()
            took_ms.append((now_s - before_s) * 1e3)
            before_s = now_s
            for phase, seconds in event.facts["phases_s"].items():
                phases.setdefault(phase, []).append(seconds * 1e3)
    kept = sorted(took_ms[LEFT_OUT:])
    return {
        "ms": spread(kept),
        "p99_ms": kept[min(len(kept) - 1, int(0.99 * len(kept)))],
        "phases_ms": {name: round(statistics.median(values[LEFT_OUT:]), 3) for name, values in phases.items()},
    }


def measure_flower(python: str, rounds: int) -> dict[str, Any]:
    """Run the empty round in Flower's simulation, in a Python of its own."""
    script = Path(__file__).with_name("flower_rounds.py")
    command = [python, str(script), str(rounds + LEFT_OUT), str(CLIENTS), str(ARMS["empty"]["size"])]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    kept = sorted(json.loads(ended.stdout.splitlines()[-1])[LEFT_OUT:])
    return {"ms": spread(kept), "p99_ms": kept[min(len(kept) - 1, int(0.99 * len(kept)))]}


if __name__ == "__main__":
    sys.exit(main())
