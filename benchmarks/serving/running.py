"""The rounds: every server, workload and number of connections once in each, in turn."""

from __future__ import annotations

import http.client
import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.serving.load import Counted, WrkError, check, run_wrk
from benchmarks.serving.peers import Server, free_port
from benchmarks.serving.processes import ServerProcess
from benchmarks.serving.progress import Meter
from benchmarks.serving.workloads import Workload

HOST = "127.0.0.1"
START_S = 120.0
WARM_S = 1


class StartError(RuntimeError):
    """A server ended or did not answer rightly within ``START_S``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run.

    Args:
        servers: In the order of the table.
        pythons: Interpreter of each server, by name.
        workloads: What to load them with.
        connections: Numbers of connections.
        repeats: Rounds.
        seconds: Length of one load.
        folder: Where the model lies.
    """

    servers: Sequence[Server]
    pythons: Mapping[str, Path]
    workloads: Sequence[Workload]
    connections: Sequence[int]
    repeats: int
    seconds: int
    folder: Path


def run(plan: Plan) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run all rounds; return a sample for each load, and what failed.

    A server is started anew for each application of each round, and each round begins with another server, so that none
    always runs first or always follows the same one.
    """
    samples: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    visits = list(plan_visits(plan))
    with Meter(sum(len(workloads) for *_, workloads in visits) * len(plan.connections)) as meter:
        for number, server, workloads in visits:
            arm = {"round": number, "server": server.name}
            wanted = len(workloads) * len(plan.connections)
            try:
                for sample in load(plan, server, workloads):
                    samples.append({**arm, **sample})
                    wanted -= 1
                    meter.advance(tell(samples[-1]))
            except (StartError, WrkError, OSError) as error:
                names = ", ".join(workload.name for workload in workloads)
                failures.append({**arm, "workload": names, "error": str(error)})
                meter.advance(f"{server.name}, {names}: {error}", by=wanted)
    return samples, failures


def plan_visits(plan: Plan) -> Iterator[tuple[int, Server, list[Workload]]]:
    """Yield each start of a server, in order: its round, and the workloads of one application to load it with."""
    for number in range(plan.repeats):
        shift = number % len(plan.servers)
        for app in dict.fromkeys(workload.app for workload in plan.workloads):
            for server in [*plan.servers[shift:], *plan.servers[:shift]]:
                workloads = [w for w in plan.workloads if w.app == app and (server.traced or not w.traced)]
                if workloads:
                    yield number, server, workloads


def load(plan: Plan, server: Server, workloads: Sequence[Workload]) -> Iterator[dict[str, Any]]:
    """Start a server and load it with each workload and number of connections; yields the sample of each."""
    asked = {w.name: w.as_lists() if w.app in server.lists else w for w in workloads}
    with (
        # Short, because servers put Unix sockets below it, whose paths may have 107 bytes.
        tempfile.TemporaryDirectory(prefix="skb-", ignore_cleanup_errors=True) as folder,
        started(server, next(iter(asked.values())), plan, Path(folder)) as (process, port),
    ):
        address = f"http://{HOST}:{port}{server.path}"
        for (name, workload), connections in itertools.product(asked.items(), plan.connections):
            bodies = workload.write(Path(folder))
            wrong = check(HOST, port, server.path, workload, connections)
            options: dict[str, Any] = {"traced": workload.traced, "connections": connections}
            run_wrk(address, bodies, seconds=WARM_S, **options)
            before = process.cpu_s()
            counted = run_wrk(address, bodies, seconds=plan.seconds, **options)
            spent = process.cpu_s() - before
            wrong += check(HOST, port, server.path, workload, connections)
            yield {"workload": name, "connections": connections, **describe(counted, spent, wrong)}


def describe(counted: Counted, cpu_s: float, wrong: list[str]) -> dict[str, Any]:
    """Return a load as it is written down; the first wrong answer stands for the others."""
    cost = cpu_s / counted.requests * 1000 if counted.requests else None
    return {**asdict(counted), "cpu_s_per_1000": cost, "wrong": len(wrong), "first_wrong": wrong[0] if wrong else None}


@contextmanager
def started(server: Server, workload: Workload, plan: Plan, folder: Path) -> Iterator[tuple[ServerProcess, int]]:
    """Start a server, wait until it answers rightly, and end all of it.

    Raises:
        StartError: it did not come that far.
    """
    port = free_port()
    environment = {
        **server.variables(folder),
        "MODEL": str(plan.folder / "digits.onnx"),
        "WORKLOAD": workload.app,
        "PORT": str(port),
        "TMPDIR": str(folder),
    }
    command = server.command(plan.pythons[server.name], workload.app, port)
    process = ServerProcess(command, environment=environment, folder=folder)
    try:
        one = replace(workload, bodies=workload.bodies[:1], answers=workload.answers[:1])
        until = time.monotonic() + START_S
        while wrong := ask_once(port, server.path, one):
            if process.has_ended() or time.monotonic() > until:
                log = process.log.read_text(errors="replace")[-2000:]
                raise StartError(f"does not start: {wrong}\n{log}")
            time.sleep(0.05)
        yield process, port
    finally:
        process.stop()


def ask_once(port: int, path: str, workload: Workload) -> str | None:
    """Return what is wrong with the answer to one request, or None."""
    try:
        return next(iter(check(HOST, port, path, workload, 1)), None)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)


def tell(sample: Mapping[str, Any]) -> str:
    """Say in a line how a load went."""
    errors = sum(sample["errors"].values())
    faults = f", {errors} errors, {sample['wrong']} wrong" if errors or sample["wrong"] else ""
    return (
        f"round {sample['round'] + 1}: {sample['server']}, {sample['workload']}, {sample['connections']} connections: "
        f"{sample['rate']:,.0f}/s, p99 {sample['p99_ms']:.2f} ms{faults}"
    )
