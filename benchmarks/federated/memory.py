"""Measure a coordinator's memory from 3 to 500 clients: ``python -m benchmarks.federated.memory [--quick]``.

Method. Each figure is a process of its own, which runs one round of a model with the 317,066 parameters of paper 003,
updates written in float32, the longest. Its clients are simulated (`simulated.py`): a client's work is a shifted copy
of one random vector, and one client works at a time. The coordinator, its threads, the messages' bytes, the checks, the
log of replies, its reader and the strategy are the product's own. The process ends when the round has been aggregated,
before it is kept; a second one then goes on from the folder, as after a crash: it reads the log of all replies again.
A figure is the highest resident memory of the process minus what it had before the run began, with everything imported.

Clients are talked to at most ``in_flight`` at a time, so memory may rise until there are so many, and must be flat from
there on: at 500 clients at most 1.1 times that at 32, plus 4 MiB. With ``in_flight`` 3 it must be flat from 3 on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.federated.simulated import SimulatedFederation, SimulatedFunction
from benchmarks.measuring import cpu_s, facts, save, spread
from skerry.learn.federated import Member, Plan
from skerry.learn.federated.clients.training import reply_to
from skerry.learn.federated.wire.coding import pack
from skerry.learn.federated.wire.messages import FitReply, FitTask, StartReply, StartTask
from skerry.learn.federated.wire.parameters import Layout

VERSIONS = ("skerry", "numpy", "msgpack", "pydantic")
SIZE = 317_066
COUNTS = (3, 10, 32, 100, 500)
ARMS: dict[str, dict[str, Any]] = {
    "fedavg": {"strategy": "fedavg", "in_flight": 32},
    "fedavg, 3 in flight": {"strategy": "fedavg", "in_flight": 3},
    "median": {"strategy": "median", "in_flight": 32},
}
PHASES = ("fresh", "resumed")
REPEATS = 3
MOST_RATIO, SLACK_MIB = 1.1, 4.0
MIB = 1 << 20


class Simulated:
    """What all clients do: they answer with a part of one vector, at once."""

    def __init__(self) -> None:
        self._base = np.random.default_rng(1).normal(0, 1e-3, SIZE).astype(np.float32)
        self._turn = threading.Lock()

    def start(self, task: StartTask) -> StartReply:
        """Return the model that a run begins with."""
        model = np.zeros(SIZE, np.float32)
        packed, _ = pack(model, "float32")
        return StartReply(layout=Layout.of({"weights": model}), model=packed)

    def fit(self, task: FitTask) -> FitReply:
        """Return the base, shifted by what the client's name comes to."""
        with self._turn:
            shift = int.from_bytes(hashlib.sha256(task.client.encode()).digest()[:4], "big")
            packed, _ = pack(np.roll(self._base, shift % SIZE), task.coding)
            return reply_to(task, update=packed, examples=10, steps=1)


def run(folder: Path, arm: str, clients: int, phase: str) -> dict[str, float]:
    """Run a round until it is aggregated, or from there to its end, and return what that took."""
    plan = Plan(
        job="memory",
        members=tuple(Member(name=f"client-{number:03}") for number in range(clients)),
        rounds=1,
        evaluate_every=0,
        **ARMS[arm],
    )
    work = Simulated()
    functions = {name: SimulatedFunction(name, getattr(work, name)) for name in ("start", "fit")}
    before_bytes, began_s, cpu_began_s = memory_bytes("VmRSS"), time.perf_counter(), cpu_s()
    for event in SimulatedFederation(folder, plan, functions).events():
        if event.kind == "aggregated" and phase == "fresh":
            break
    return {
        "growth_mib": (memory_bytes("VmHWM") - before_bytes) / MIB,
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": cpu_s() - cpu_began_s,
    }


def memory_bytes(field: str) -> int:
    """Return a field of this process's memory: ``VmRSS`` for now, ``VmHWM`` for the highest."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"this kernel does not say {field}")


def measure(folder: Path, arm: str, clients: int, phase: str) -> dict[str, float]:
    """Return what `run` finds in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.federated.memory", "--one", str(folder), arm, str(clients), phase]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[2])
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def is_flat(row: dict[str, Any], in_flight: int) -> bool:
    """Return whether memory does not grow with clients, once as many are talked to at a time as may be."""
    counts = sorted(map(int, row))
    first = next((count for count in counts if count >= in_flight), counts[-1])
    least, most = (row[str(count)]["growth_mib"]["median"] for count in (first, counts[-1]))
    return bool(most <= MOST_RATIO * least + SLACK_MIB)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 100 clients, each once")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="processes of each figure")
    parser.add_argument("--one", nargs=4, metavar=("FOLDER", "ARM", "CLIENTS", "PHASE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        folder, arm, clients, phase = arguments.one
        print(json.dumps(run(Path(folder), arm, int(clients), phase)))
        return 0
    counts, repeats = (COUNTS[:-1], 1) if arguments.quick else (COUNTS, arguments.repeats)
    found: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    for _ in range(repeats):
        for clients in counts:
            for arm in ARMS:
                with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
                    for phase in PHASES:
                        figures = measure(Path(folder), arm, clients, phase)
                        found.setdefault((arm, phase, clients), []).append(figures)
    return report(found, counts, repeats, is_kept=not arguments.quick)


def report(
    found: dict[tuple[str, str, int], list[dict[str, float]]], counts: tuple[int, ...], repeats: int, *, is_kept: bool
) -> int:
    """Print the table, keep it, and return the exit code."""
    print(f"MiB above the start, {SIZE} parameters, median of {repeats}; clients:")
    print(f"| Arm | Process | {' | '.join(map(str, counts))} | Flat |")
    print("| --- " * (len(counts) + 3) + "|")
    result: dict[str, Any] = {"facts": facts(VERSIONS), "parameters": SIZE, "repeats": repeats, "arms": {}}
    for arm, settings in ARMS.items():
        for phase in PHASES:
            row = {
                str(count): {
                    key: spread([each[key] for each in found[arm, phase, count]])
                    for key in ("growth_mib", "wall_s", "cpu_s")
                }
                for count in counts
            }
            flat = is_flat(row, int(settings["in_flight"]))
            result["arms"][f"{arm}, {phase}"] = {"clients": row, "flat": flat}
            cells = " | ".join(f"{each['growth_mib']['median']:.1f}" for each in row.values())
            print(f"| {arm} | {phase} | {cells} | {'yes' if flat else 'NO'} |")
    if is_kept:
        print(f"written to {save('federated_memory', result)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
