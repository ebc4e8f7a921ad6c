"""Measure a coordinator's memory from 3 to 500 clients: ``python -m benchmarks.federated.memory [--quick]``.

Method. Each figure is a coordinator in a process of its own, which runs one round of a model with the 317,066
parameters of paper 003, updates written in float32, the longest. Its clients are functions of an engine, reached over
HTTP on loopback; they train nothing (`large_app.py`): a client's update is another one's, shifted. The process ends
when the round has been aggregated, before it is kept; a second one then goes on from the folder, as after a crash: it
reads the log of all replies again. A figure is the highest resident memory of the coordinator's process minus what it
had before the run began, with everything imported.

Memory is flat when, with 500 clients, it is at most 1.1 times that with 3, plus 4 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.federated.large_app import SIZE
from benchmarks.measuring import cpu_s, facts, save, spread
from skerry.learn.federated import Federation, Member, Plan
from skerry.platforms.engine import EnginePlatform, start_engine

APP = Path(__file__).parent / "large_app.py"
VERSIONS = ("skerry", "numpy", "msgpack", "pydantic")
COUNTS = (3, 10, 32, 100, 500)
ARMS: dict[str, dict[str, Any]] = {
    "fedavg, 32 in flight": {"strategy": "fedavg", "in_flight": 32},
    "fedavg, 3 in flight": {"strategy": "fedavg", "in_flight": 3},
    "median, 32 in flight": {"strategy": "median", "in_flight": 32},
}
PHASES = ("fresh", "resumed")
REPEATS = 3
MOST_RATIO, SLACK_MIB = 1.1, 4.0
MIB = 1 << 20


def run(folder: Path, address: str, arm: str, clients: int, phase: str) -> dict[str, float]:
    """Run a round until it is aggregated, or from there to its end, and return what that took."""
    plan = Plan(
        job="memory",
        members=tuple(Member(name=f"client-{number:03}", site="here") for number in range(clients)),
        rounds=1,
        evaluate_every=0,
        **ARMS[arm],
    )
    places = {"here": EnginePlatform(address, expected=True)}
    before_bytes, began_s, cpu_began_s = memory_bytes("VmRSS"), time.perf_counter(), cpu_s()
    for event in Federation(folder, plan, places=dict(places)).events():
        if event.kind in ("missed", "refused"):
            raise RuntimeError(f"{event.client} was {event.kind}: {event.facts}")
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


def measure(arm: str, clients: int) -> dict[str, dict[str, float]]:
    """Return what `run` finds in a process of its own, by phase; the clients' engine is new."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        engine = start_engine(Path(folder, "site"), port=0, leashed=True)
        try:
            engine.platform.deploy(str(APP))
            return {phase: _measure_one(Path(folder, "run"), engine.address, arm, clients, phase) for phase in PHASES}
        finally:
            engine.stop()


def _measure_one(folder: Path, address: str, arm: str, clients: int, phase: str) -> dict[str, float]:
    one = [str(folder), address, arm, str(clients), phase]
    command = [sys.executable, "-m", "benchmarks.federated.memory", "--one", *one]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[2])
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def is_flat(row: dict[str, Any]) -> bool:
    """Return whether memory does not grow with clients."""
    counts = sorted(map(int, row))
    fewest, most = (row[str(count)]["growth_mib"]["median"] for count in (counts[0], counts[-1]))
    return bool(most <= MOST_RATIO * fewest + SLACK_MIB)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 100 clients, each once")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="processes of each figure")
    parser.add_argument(
        "--one", nargs=5, metavar=("FOLDER", "ADDRESS", "ARM", "CLIENTS", "PHASE"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.one:
        folder, address, arm, clients, phase = arguments.one
        print(json.dumps(run(Path(folder), address, arm, int(clients), phase)))
        return 0
    counts, repeats = (COUNTS[:-1], 1) if arguments.quick else (COUNTS, arguments.repeats)
    found: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    for _ in range(repeats):
        for clients in counts:
            for arm in ARMS:
                for phase, figures in measure(arm, clients).items():
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
    for arm in ARMS:
        for phase in PHASES:
            row = {
                str(count): {
                    key: spread([each[key] for each in found[arm, phase, count]])
                    for key in ("growth_mib", "wall_s", "cpu_s")
                }
                for count in counts
            }
            flat = is_flat(row)
            result["arms"][f"{arm}, {phase}"] = {"clients": row, "flat": flat}
            cells = " | ".join(f"{each['growth_mib']['median']:.1f}" for each in row.values())
            print(f"| {arm} | {phase} | {cells} | {'yes' if flat else 'NO'} |")
    if is_kept:
        print(f"written to {save('federated_memory', result)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
