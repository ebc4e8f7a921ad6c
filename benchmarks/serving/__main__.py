"""Compare servers: `python -m benchmarks.serving [--repeats 5] [--seconds 2]`.

Makes a virtual environment for each peer (kept in the user's cache, or in --environments), serves the same workloads on
every server, loads them in turn with wrk, checks the answers, and prints one table. The whole run takes 20 to 25
minutes; `--servers skerry,uvicorn --workloads echo --connections 1,32` runs a part of it.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import RESULTS, facts, save
from benchmarks.serving.environments import default_folder, make_environment, versions
from benchmarks.serving.judging import added_latency, compare, judge, summarise, traced_cost
from benchmarks.serving.peers import BARES, OURS, SERVERS, Server
from benchmarks.serving.report import WHICH_IS_WHICH, draw, print_result
from benchmarks.serving.running import WARM_S, Plan, run
from benchmarks.serving.workloads import CHECKED, LOADED, make_workloads

WORKLOADS = ("echo", "digits", "echo-traced")
VERSIONS = ("skerry", "numpy", "onnxruntime", "orjson", "scikit-learn", "skl2onnx")


def main() -> int:
    """Run the benchmark; returns the exit code: 1 when Skerry failed or answered wrongly, 2 when wrk is missing."""
    options = read_options()
    # So that whoever ends the benchmark ends its servers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if shutil.which("wrk") is None:
        print("error: wrk is not installed; on Debian: apt-get install wrk", file=sys.stderr)
        return 2
    servers = [server for server in SERVERS if server.name in options.servers]
    pythons = {server.name: make_python(server, options.environments) for server in servers}
    # The version of all that a peer runs with, not only of its own package: half of the speed is uvicorn's or uvloop's.
    installed = {server.name: versions(pythons[server.name]) for server in servers}
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        workloads = make_workloads(Path(folder))
        plan = Plan(
            servers=servers,
            pythons=pythons,
            workloads=[workloads[name] for name in options.workloads],
            connections=options.connections,
            repeats=options.repeats,
            seconds=options.seconds,
            folder=Path(folder),
        )
        machine = facts(VERSIONS)
        samples, failures = run(plan)
    ratios = compare(summarise(samples), [server.name for server in servers if server.tuned])
    added = {bare: added_latency(samples, bare) for bare in BARES}
    result = {
        "facts": {**machine, "wrk": wrk_version()},
        "method": describe_method(options),
        "servers": {server.name: describe_server(server, installed[server.name]) for server in servers},
        "arms": summarise(samples),
        "ratios": ratios,
        "added_ms": added,
        "traced": traced_cost(samples),
        "bars": judge(ratios, added),
        "failures": failures,
        "samples": samples,
    }
    print_result(result)
    print(f"written to {save(options.name, result)}")
    if samples:
        draw(result, RESULTS / f"{options.name}.png")
    ours = [sample for sample in samples if sample["server"] == OURS]
    faulty = any(sample["wrong"] or sum(sample["errors"].values()) for sample in ours)
    return 1 if faulty or any(failure["server"] == OURS for failure in failures) else 0


def read_options() -> argparse.Namespace:
    """Return the command line's options."""
    names = [server.name for server in SERVERS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--servers", type=some_of(names), default=names, help=f"some of {','.join(names)}")
    parser.add_argument(
        "--workloads", type=some_of(WORKLOADS), default=list(WORKLOADS), help=f"some of {','.join(WORKLOADS)}"
    )
    parser.add_argument("--connections", type=numbers, default=[1, 32, 128], help="such as 1,32,128")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, each of which runs every arm once")
    parser.add_argument("--seconds", type=int, default=2, help="length of one load, in whole seconds")
    parser.add_argument("--environments", type=Path, default=default_folder(), help="where the peers are installed")
    parser.add_argument("--name", default="serving", help="the results go to benchmarks/results/NAME.json and NAME.png")
    return parser.parse_args()


def some_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a reader of names that are separated by commas."""

    def read(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in names:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(names)}")
        return chosen

    return read


def numbers(text: str) -> list[int]:
    """Return numbers of connections, each at least 1, that are separated by commas."""
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise argparse.ArgumentTypeError("at least one connection")
    return found


def make_python(server: Server, folder: Path) -> Path:
    """Return the interpreter that a server runs with; makes its environment where it has one of its own."""
    if not server.requirements:
        return Path(sys.executable)
    return make_environment(folder / (server.folder or server.name), server.requirements)


def describe_server(server: Server, installed: dict[str, str]) -> dict[str, Any]:
    """Return what the results say of a server."""
    return {
        "packages": {name: installed[name] for name in server.packages},
        "requirements": list(server.requirements),
        "tuned": server.tuned,
        "environment": installed,
    }


def describe_method(options: argparse.Namespace) -> str:
    """Return how was measured, in a few sentences."""
    connections = ", ".join(map(str, options.connections))
    return (
        f"{options.repeats} rounds, interleaved: each runs every server once, beginning with another server in every "
        "round. In a round a server is started once for each of its two applications, and while it is up its workloads "
        f"and numbers of connections ({connections}) are loaded in turn. One load: wrk with one thread, keep-alive, no "
        f"pipelining, {WARM_S} s to warm up and {options.seconds} s measured, cycling through {LOADED} bodies. Before "
        f"and after each, {CHECKED} different requests over as many connections, every answer compared (digits: with "
        "the ONNX model run on one image at a time). echo is one call per request on every server; digits is batched "
        "up to 64 where the server can. One process runs the workload, one thread the model. Processor time is user "
        "and system of all of a server's processes, of the measured load alone. Latencies are wrk's; the loader and "
        f"the server share the machine. {WHICH_IS_WHICH}"
    )


def wrk_version() -> str:
    """Return what wrk calls itself; it says so on standard output or error, and ends with 1."""
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0].split(" Copyright")[0]


if __name__ == "__main__":
    sys.exit(main())
