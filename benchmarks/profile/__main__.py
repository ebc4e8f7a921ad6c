"""Where a request's time goes: `python -m benchmarks.profile [--rounds 2000]`.

Drives the real front (connections, queue, metrics) and the real loops of a worker with what a socket would bring them,
and without one: what is measured is Skerry's own code alone, a phase at a time, in microseconds per request. Then runs
both under cProfile. Writes ``benchmarks/results/profile.json`` and ``profile.txt``; takes about half a minute.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import RESULTS, facts, save, spread
from benchmarks.objective.models import make_classifier
from benchmarks.profile.front import CONNECTIONS, PHASES, VARIANTS, Variant, opened
from benchmarks.profile.worker import CALLS, GROUP, Work, WorkerBench, make_works
from benchmarks.serving.workloads import make_workloads

VERSIONS = ("skerry", "uvloop", "httptools", "orjson", "msgpack", "pydantic", "numpy", "onnxruntime")
WARM_UP_RATIO = 0.1  # of the rounds, before those that count
TOP = 25
FRONT_LISTED = ("known head", "unknown head (fresh traceparent)")
WORKER_LISTED = (f"echo, {CALLS} calls in one read", f"digits, group of {GROUP}, no model")
METHOD = (
    f"No sockets and one thread. Front: {CONNECTIONS} connections over played transports ask once in each round; "
    "parsing, admission, queue and metrics are on, OTLP export is not configured; the worker is played. read: "
    "data_received; hand over: the queue's pump; parse answers: FrameReader.feed; answer: the queue takes the answers "
    f"and the connections write them. Worker: its loop over a played link, {CALLS} calls (digits: a group of {GROUP}) "
    "in each read unless the name says otherwise. Every answer of the front and the last round's of the worker are "
    "compared. Times are of a round divided by its requests."
)


def main() -> int:
    """Measure, print, save; returns 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2000, help="rounds that count, for each line of the table")
    parser.add_argument("--name", default="profile", help="the results go to benchmarks/results/NAME.json and NAME.txt")
    options = parser.parse_args()
    machine = facts(VERSIONS)
    works = prepare_works()
    result: dict[str, Any] = {
        "facts": machine,
        "method": f"{METHOD} {options.rounds} rounds.",
        "front_us": {variant.name: uvloop.run(measure_front(variant, options.rounds)) for variant in VARIANTS},
        "worker_us": {work.name: measure_worker(work, options.rounds) for work in works},
    }
    print_result(result)
    listings = list_functions(works, options.rounds)
    print(f"written to {save(options.name, result)}")
    path = RESULTS / f"{options.name}.txt"
    path.write_text(f"{machine['date']}, {machine['processor']}, Python {machine['python']}\n\n{listings}")
    print(f"written to {path}")
    return 0


def prepare_works() -> list[Work]:
    """Train the classifier, and return what the worker is to do."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        workload = make_workloads(Path(folder))["digits"]
        classify = make_classifier("onnx", Path(folder) / "digits.onnx")
    images = [orjson.loads(body) for body in workload.bodies[:GROUP]]
    return make_works(images, [answer["label"] for answer in workload.answers[:GROUP]], classify)


async def measure_front(variant: Variant, rounds: int) -> dict[str, dict[str, float]]:
    """Return the microseconds per request of each phase, and of all together."""
    with opened(variant) as bench:
        await bench.run(warm_up(rounds))
        return per_request(PHASES, await bench.run(rounds), CONNECTIONS)


def measure_worker(work: Work, rounds: int) -> dict[str, dict[str, float]]:
    """Return the microseconds per request of each phase, and of all together."""
    bench = WorkerBench(work)
    bench.run(warm_up(rounds))
    return per_request(work.phases, bench.run(rounds), len(work.bodies))


def warm_up(rounds: int) -> int:
    """Return how many rounds go before."""
    return max(1, round(rounds * WARM_UP_RATIO))


def per_request(
    phases: Sequence[str], times_s: Sequence[tuple[float, ...]], requests: int
) -> dict[str, dict[str, float]]:
    """Return the spread of each phase over the rounds, and of their sum, in microseconds per request.

    Args:
        phases: Their names.
        times_s: Seconds by round and phase.
        requests: Requests in a round.
    """
    found = {
        phase: spread([times[i] / requests * 1e6 for times in times_s]) for i, phase in enumerate(phases) if times_s
    }
    if len(phases) > 1:
        found["all"] = spread([sum(times) / requests * 1e6 for times in times_s])
    return found


def list_functions(works: Sequence[Work], rounds: int) -> str:
    """Return the functions that take the most time of their own, as cProfile counts it."""
    parts = []
    for variant in VARIANTS:
        if variant.name in FRONT_LISTED:
            parts.append(f"Front, {variant.name}\n\n{uvloop.run(profile_front(variant, rounds))}")
    for work in works:
        if work.name in WORKER_LISTED:
            profile = cProfile.Profile()
            WorkerBench(work, profile).run(rounds)
            parts.append(f"Worker, {work.name}\n\n{listing(profile)}")
    return "\n".join(parts)


async def profile_front(variant: Variant, rounds: int) -> str:
    """Return a front's listing."""
    profile = cProfile.Profile()
    with opened(variant, profile) as bench:
        await bench.run(rounds)
    return listing(profile)


def listing(profile: cProfile.Profile) -> str:
    """Return the top of a profile, with the names of files but not of the folders that they lie in."""
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(TOP)
    rows = re.sub(r" at 0x[0-9a-f]+", "", text.getvalue()).strip().splitlines()
    return "\n".join(row.rstrip() for row in rows) + "\n"


def print_result(result: Mapping[str, Any]) -> None:
    """Print both tables."""
    console = Console(width=110, highlight=False)
    machine = result["facts"]
    console.print(f"{machine['date']}, {machine['processor']}, {machine['processors']} processors")
    console.print(result["method"])
    for title, key in (("The front", "front_us"), ("The worker", "worker_us")):
        table = Table("", "phase", title=f"{title}: µs per request")
        for name in ("median", "p25", "p75", "min"):
            table.add_column(name, justify="right")
        for name, phases in result[key].items():
            for i, (phase, values) in enumerate(phases.items()):
                numbers = [f"{values[column]:.2f}" for column in ("median", "p25", "p75", "min")]
                style = "bold" if i == len(phases) - 1 else None
                table.add_row("" if i else name, phase, *numbers, style=style)
            table.add_section()
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
