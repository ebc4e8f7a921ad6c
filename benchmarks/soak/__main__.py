"""``python -m benchmarks.soak --minutes 30``: a long mixed load on an engine.

Callers of every kind at once (`callers.py`), phases of overload and bursts from zero (`load.py`), all seeded. Every
answer is checked; whatever was not asked for is a failure. Meanwhile memory, descriptors, threads and processes are
watched (`watch.py`); what lasted from the warm-up to the end must not have grown (`judge.py` has the tolerances). At
the end nothing may be queued or in flight, and the engine must end in order.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measuring import RESULTS, facts, save
from benchmarks.serving.processes import ServerProcess
from benchmarks.soak.client import Connection
from benchmarks.soak.judge import MIB, Growth, judge
from benchmarks.soak.load import Load
from benchmarks.soak.plot import draw
from benchmarks.soak.watch import Watch

VERSIONS = ("skerry", "uvloop", "httptools", "pydantic", "orjson", "msgpack")
ADDRESS = re.compile(rb"skerry engine: http://[^:]*:(\d+)")
START_S = 60.0
QUIET_S = 15.0  # by then what callers left behind has ended


def main() -> int:
    """Load, watch, judge, save; returns 1 where anything failed or grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="length; short ones are not judged for growth")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between samples, fewer in short runs")
    parser.add_argument("--save-as", default="soak", help="name of the result; - does not save it")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    with tempfile.TemporaryDirectory() as name:
        result, watch = asyncio.run(soak(Path(name), seconds, seed=arguments.seed, every_s=arguments.every))
    report(result)
    if arguments.save_as != "-":
        draw(watch.samples, RESULTS / f"{arguments.save_as}.png")
        print(f"saved {save(arguments.save_as, result)}")
    return 0 if result["passed"] else 1


async def soak(folder: Path, seconds: float, *, seed: int, every_s: float) -> tuple[dict[str, Any], Watch]:
    """Load an engine in this folder; return the figures and the samples."""
    shutil.copy(Path(__file__).parent / "app.py", folder / "app.py")  # alone: a deployed app takes its folder along
    home = folder / "home"
    command = [
        sys.executable,
        "-m",
        "skerry.engine",
        "--home",
        str(home),
        "--port",
        "0",
        "--serve",
        str(folder / "app.py"),
    ]
    engine = ServerProcess(command, environment={}, folder=folder)
    try:
        port = await started(engine)
        front = front_of(engine)
        every_s = min(every_s, max(0.5, seconds / 100))
        watch, load = Watch(front, engine.members, every_s=every_s), Load(port, seed=seed)
        watching = asyncio.create_task(watch.run())
        began_s, cpu_s = time.monotonic(), engine.cpu_s()
        await load.run(seconds)
        took_s, cpu_s = time.monotonic() - began_s, engine.cpu_s() - cpu_s
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        left = await left_behind(home)
        lasted = not engine.has_ended()
    finally:
        began_s = time.monotonic()
        engine.stop()
        stop_s = time.monotonic() - began_s
    log = engine.log.read_text(errors="replace")
    growth = judge(watch.samples)
    tally = load.tally
    passed = lasted and not tally.failures and not left and all(grown.verdict != "GREW" for grown in growth)
    return {
        "facts": facts(VERSIONS),
        "seed": seed,
        "minutes": took_s / 60,
        "passed": passed and "Traceback" not in log,
        "visits": dict(tally.visits),
        "failures": dict(tally.failures),
        "details": tally.details,
        "overload_statuses": dict(tally.statuses),
        "left_behind": left,
        "tracebacks": log.count("Traceback"),
        "engine_log_end": log[-4000:],
        "engine_lasted": lasted,
        "engine_cpus": cpu_s / took_s,
        "stop_s": stop_s,
        "growth": [grown.to_dict() for grown in growth],
        "samples": [asdict(sample) for sample in watch.samples],
    }, watch


async def started(engine: ServerProcess) -> int:
    """Wait until the engine serves, and return its port."""
    until_s = time.monotonic() + START_S
    while (found := ADDRESS.search(engine.log.read_bytes())) is None:
        if engine.has_ended() or time.monotonic() > until_s:
            raise RuntimeError(f"the engine does not start:\n{engine.log.read_text()[-4000:]}")
        await asyncio.sleep(0.05)
    return int(found[1])


def front_of(engine: ServerProcess) -> int:
    """Return the engine's own process: the one whose parent is none of it."""
    members = engine.members()
    pids = {member.pid for member in members}
    return next(member.pid for member in members if member.parent not in pids)


async def left_behind(home: Path) -> list[str]:
    """Return the functions that still have requests queued or in flight, after a while."""
    until_s = time.monotonic() + QUIET_S
    while True:
        connection = Connection(0, path=str(home / "engine.sock"))
        functions = (await connection.call("/functions", b"", method="GET")).json()
        connection.close()
        left = [
            f"{function['name']}: {function['queued']} queued, {function['in_flight']} in flight"
            for function in functions
            if function["queued"] or function["in_flight"]
        ]
        if not left or time.monotonic() > until_s:
            return left
        await asyncio.sleep(0.2)


def report(result: dict[str, Any]) -> None:
    """Print the figures."""
    print(f"{result['minutes']:.1f} minutes, seed {result['seed']}, engine on {result['engine_cpus']:.2f} processors")
    for kind, visits in sorted(result["visits"].items()):
        print(f"  {kind:10s} {visits:9d} visits, {result['failures'].get(kind, 0)} failures")
    print(f"  under overload: {result['overload_statuses']}; ended in {result['stop_s']:.1f} s")
    for detail in result["details"][:20]:
        print(f"  FAILED {detail}")
    for trouble in result["left_behind"]:
        print(f"  LEFT BEHIND {trouble}")
    if result["tracebacks"]:
        print(f"  TRACEBACKS in the engine's log: {result['tracebacks']}; it ends with\n{result['engine_log_end']}")
    for grown in result["growth"]:
        fields = {key: value for key, value in grown.items() if key != "verdict"}
        print(f"  {line(Growth(**fields))}")
    print("passed" if result["passed"] else "FAILED")


def line(growth: Growth) -> str:
    """Return a growth as a line of a table."""
    unit, name = (MIB, "MiB") if growth.what.endswith("bytes") else (1, "")
    return (
        f"{growth.who:16s} {growth.what:16s} median {growth.median / unit:8.1f} {name:3s} "
        f"grew {growth.grown / unit:+7.2f} of {growth.limit / unit:.2f} allowed: {growth.verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
