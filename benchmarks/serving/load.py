"""Load with wrk, and checks of the answers."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.workloads import Workload

SCRIPT = Path(__file__).parent / "wrk.lua"
MARK = "counted "


class WrkError(RuntimeError):
    """wrk is missing, or did not say what it counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What wrk counted in one load.

    Args:
        requests: Answers it got, wrong statuses among them.
        rate: Requests per second.
        p50_ms: Median latency.
        p99_ms: Latency that one in a hundred exceeded.
        max_ms: Longest latency.
        errors: Refused connections, failed reads and writes, statuses of 400 and more, and timeouts, by kind.
    """

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: dict[str, int]


def parse(output: str) -> Counted:
    """Return what wrk counted.

    Raises:
        WrkError: the script's line is not in the output.
    """
    for line in output.splitlines():
        if line.startswith(MARK):
            counted = json.loads(line.removeprefix(MARK))
            return Counted(
                requests=counted["requests"],
                rate=counted["requests"] / (counted["duration_us"] / 1e6),
                p50_ms=counted["p50_us"] / 1000,
                p99_ms=counted["p99_us"] / 1000,
                max_ms=counted["max_us"] / 1000,
                errors=counted["errors"],
            )
    raise WrkError(f"wrk did not say what it counted: {output.strip()[-500:]!r}")


def run_wrk(address: str, bodies: Path, *, traced: bool, connections: int, seconds: int) -> Counted:
    """Load a server and return what was counted.

    One thread: it drives more than any server here answers, and a second would only take the other processor from
    the server.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT), address]
    command += ["--", str(bodies), "traced" if traced else "plain"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode != 0:
        raise WrkError(f"wrk ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)


def check(host: str, port: int, path: str, workload: Workload, connections: int) -> list[str]:
    """Ask everything once over this many connections at a time; return what was answered wrongly.

    wrk cannot compare answers without being slowed to the point of measuring itself, so this runs before and after
    its load: with as many connections, so that a batch which is mixed up or an answer that goes astray shows.
    """
    every = range(len(workload.bodies))
    shares = [every[start::connections] for start in range(min(connections, len(every)))]
    with ThreadPoolExecutor(len(shares)) as threads:
        found = threads.map(lambda share: list(_ask(host, port, path, workload, share)), shares)
        return [wrong for some in found for wrong in some]


def _ask(host: str, port: int, path: str, workload: Workload, share: Iterable[int]) -> Iterable[str]:
    """Ask a share of the workload's requests over one connection; yield what is wrong."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        for i in share:
            try:
                connection.request("POST", path, workload.bodies[i], {"content-type": "application/json"})
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                yield f"request {i}: {error!r}"
                connection.close()
                continue
            if response.status != 200 or _decode(content) != workload.answers[i]:
                yield f"request {i}: {response.status} {content[:200]!r} instead of {workload.answers[i]!r}"
    finally:
        connection.close()


def _decode(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content
