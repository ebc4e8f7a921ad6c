"""What a hop of a chain costs, separated and fused: ``python -m benchmarks.chains``.

One engine; a chain of ``--steps`` functions that return what they are given, one run after the other, warm. A hop is
the time from the end of one step on record to the end of the next, less the time in the handler: the commit of the
first one's result, the way to the worker and back. A fused hop has the step's pieces on their way while the next step
runs.
Then runs that give ``--items`` items to one function and join what it returns.

Beside the wall time stands the processor time of the engine and of all its workers, for each step.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.measuring import facts, line, save, spread
from skerry.platforms.engine.client import EnginePlatform

BAR_MS = 1.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
JSON = "application/json"

APP = """
import skerry

app = skerry.App("measured")

@app.function
def same(value: int) -> int:
    return value

@app.function
def numbers(count: int) -> list[int]:
    return list(range(count))

@app.function
def total(values: list[int]) -> int:
    return sum(values)

line = app.chain("line", [same] * {steps})
fan = app.chain("fan", [numbers, skerry.each(same), total])
"""


@contextmanager
def engine(folder: Path, app: str) -> Iterator[tuple[EnginePlatform, int]]:
    """Serve an app, given as the text of its file, for the block; yield the client and the engine's process id."""
    (folder / "app.py").write_text(app)
    home = folder / "home"
    command = [sys.executable, "-m", "skerry.engine", "--home", str(home), "--port", "0"]
    command += ["--serve", str(folder / "app.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            if not process.stdout.readline().startswith(b"skerry engine: http://"):
                raise RuntimeError("the engine did not start")
            yield EnginePlatform.of_home(home), process.pid
        finally:
            process.terminate()
            process.wait(30)


def cpu_s(root: int) -> float:
    """Return the processor time of a process and of all that descend from it, those that have ended included."""
    parents, times = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
            times[int(folder.name)] = sum(int(field) for field in fields[11:15]) * TICK_S
    found, several = {root}, {root}
    while several:
        several = {pid for pid, parent in parents.items() if parent in several} - found
        found |= several
    return sum(times.get(pid, 0.0) for pid in found)


def run(client: EnginePlatform, chain: str, body: bytes, mode: str) -> dict[str, Any]:
    """Return a run that has ended well."""
    begun = client.begin_run(chain, body, content_type=JSON, mode=mode)
    found = client.run(begun["id"], wait_s=60)
    if found["status"] != "succeeded":
        raise RuntimeError(f"a run is {found['status']}: {found['error']}")
    return found


def hops_ms(found: dict[str, Any]) -> list[float]:
    """Return what came on top of the handlers between the ends of steps that follow one another."""
    steps = found["steps"]
    return [(after["ended_at"] - before["ended_at"]) * 1000 - after["handler_ms"] for before, after in pairwise(steps)]


def measure_line(client: EnginePlatform, pid: int, options: argparse.Namespace, mode: str) -> dict[str, Any]:
    """Measure hops."""
    for _ in range(options.warm):
        run(client, "line", b"1", mode)
    began, cpu = time.perf_counter(), cpu_s(pid)
    runs = [run(client, "line", b"1", mode) for _ in range(options.runs)]
    wall_s, used_s = time.perf_counter() - began, cpu_s(pid) - cpu
    count = options.runs * options.steps
    return {
        "mode": mode,
        "hop_ms": spread([hop for one in runs for hop in hops_ms(one)]),
        "run_ms": spread([one["cost"]["took_ms"] for one in runs]),
        "wall_ms_per_step": wall_s * 1000 / count,
        "cpu_ms_per_step": used_s * 1000 / count,
    }


def measure_fan(client: EnginePlatform, pid: int, options: argparse.Namespace, mode: str) -> dict[str, Any]:
    """Measure items."""
    body = str(options.items).encode()
    run(client, "fan", body, mode)
    cpu = cpu_s(pid)
    runs = [run(client, "fan", body, mode) for _ in range(options.fans)]
    used_s = cpu_s(pid) - cpu
    return {
        "mode": mode,
        "items_per_s": spread([options.items * 1000 / one["cost"]["took_ms"] for one in runs]),
        "cpu_ms_per_item": used_s * 1000 / (options.items * options.fans),
    }


def main() -> None:
    """Measure, say it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10, help="of the chain")
    parser.add_argument("--runs", type=int, default=200, help="of the chain, in each mode")
    parser.add_argument("--warm", type=int, default=20, help="runs before those that count")
    parser.add_argument("--items", type=int, default=1000, help="of a fan-out")
    parser.add_argument("--fans", type=int, default=5, help="runs that fan out, in each mode")
    parser.add_argument("--folder", default=None, help="where the engine's folder is made")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="skerry-chains-", dir=options.folder) as folder,
        engine(Path(folder), APP.format(steps=options.steps)) as (client, pid),
    ):
        lines = [measure_line(client, pid, options, mode) for mode in ("separated", "fused")]
        fans = [measure_fan(client, pid, options, mode) for mode in ("separated", "fused")]
    for one in lines:
        print(f"\n{one['mode']}, {options.steps} steps (bar for separated: a median of {BAR_MS:g} ms a hop)")
        print("  " + line("hop", one["hop_ms"], "ms"))
        print("  " + line("run", one["run_ms"], "ms"))
        print(f"  processor time {one['cpu_ms_per_step']:.3f} ms a step, wall {one['wall_ms_per_step']:.3f} ms a step")
    for one in fans:
        print(f"\n{one['mode']}, {options.items} items")
        print("  " + line("items", one["items_per_s"], "1/s"))
        print(f"  processor time {one['cpu_ms_per_item']:.3f} ms an item")
    settings = {key: value for key, value in vars(options).items() if key != "folder"}
    result = {"facts": facts(["skerry", "uvloop", "msgpack"]), "settings": settings, "lines": lines, "fans": fans}
    print(f"\n{save('chains', result)}")


if __name__ == "__main__":
    main()
