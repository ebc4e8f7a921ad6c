"""How fast the published model answers: from zero, warm, and to many at once; and what the engine did meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from serving_app import classify
from training import run_together

import skerry

FUNCTION = classify.name
PAUSE_S = 0.3
ROWS_PER_CALL = 100
# What a server without warm workers would do for one request: start Python, import the app, load the model, answer.
FRESH_PROCESS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from serving_app import classify
print(classify(json.load(sys.stdin))["labels"][0])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: when it was sent (Unix seconds), how long its answer took, and whether the label was as expected."""

    kind: str
    at_s: float
    took_ms: float
    correct: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a worker: when it was ready (Unix seconds), and its phases in milliseconds."""

    at_s: float
    phases_ms: dict[str, float]


@dataclass(slots=True)
class Measurements:
    """Everything that was measured while the model served."""

    calls: list[Call] = field(default_factory=list)
    fresh_ms: list[float] = field(default_factory=list)
    burst_s: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)
    began_s: float = 0.0
    ended_s: float = 0.0

    def took_ms(self, kind: str) -> list[float]:
        """Return the response times of one kind of calls, in order."""
        return [call.took_ms for call in self.calls if call.kind == kind]

    @property
    def starts(self) -> list[Start]:
        """The workers' starts, oldest first."""
        ready = [event for event in self.events if event["kind"] == "worker_ready"]
        return [Start(at_s=event["at"], phases_ms=event["phases_ms"]) for event in ready]

    def workers(self) -> list[tuple[float, int]]:
        """Return the number of ready workers after each change, as (Unix seconds, workers), from the beginning on."""
        steps, count = [(self.began_s, 0)], 0
        for event in self.events:
            change = {"worker_ready": 1, "worker_stopped": -1, "worker_lost": -1}.get(event["kind"], 0)
            if change:
                count = max(0, count + change)
                steps.append((event["at"], count))
        return [*steps, (self.ended_s, count)]


class Client:
    """Calls the serving function with held-out rows and keeps what it measured.

    Args:
        platform: The engine.
        rows: Held-out rows: lists of numbers, or texts.
        expected: The label that the model gave each row before it was exported.
    """

    def __init__(self, platform: skerry.EnginePlatform, rows: Sequence[Any], expected: Sequence[str]) -> None:
        self.measured = Measurements(began_s=time.time())
        self._classify = classify.at(platform)
        self._platform = platform
        self._rows = rows
        self._expected = expected

    def call(self, kind: str, row: int, count: int = 1) -> list[str]:
        """Classify rows, keep the measurement and return the labels; safe to use from several threads."""
        row %= len(self._expected)
        rows, expected = self._rows[row : row + count], self._expected[row : row + count]
        at_s, before_s = time.time(), time.perf_counter()
        answer = self._classify.remote(rows)
        took_ms = (time.perf_counter() - before_s) * 1000
        labels = [str(label) for label in answer["labels"]]
        self.measured.calls.append(Call(kind=kind, at_s=at_s, took_ms=took_ms, correct=labels == expected))
        return labels

    def call_all(self) -> list[str]:
        """Return the served label of every held-out row, asked for many at a time."""
        starts = range(0, len(self._rows), ROWS_PER_CALL)
        return [label for start in starts for label in self.call("all", start, ROWS_PER_CALL)]

    def call_cold(self, trials: int, done: Callable[[], None]) -> None:
        """Send single requests, each when no worker is left."""
        for trial in range(trials):
            wait_until_zero(self._platform)
            # A moment at zero, which the timeline then shows.
            time.sleep(PAUSE_S)
            self.call("cold", trial)
            done()

    def call_warm(self, requests: int, done: Callable[[], None]) -> None:
        """Send requests one after the other."""
        for request in range(requests):
            self.call("warm", request)
            done()

    def call_burst(self, requests: int, clients: int) -> None:
        """Send requests from many clients at the same moment, when no worker is left."""
        wait_until_zero(self._platform)
        time.sleep(PAUSE_S)
        errors: list[BaseException] = []

        def ask(client: int) -> None:
            try:
                for request in range(client, requests, clients):
                    self.call("burst", request)
            except BaseException as error:
                errors.append(error)

        before_s = time.perf_counter()
        run_together([partial(ask, client) for client in range(clients)])
        self.measured.burst_s = time.perf_counter() - before_s
        if errors:
            raise errors[0]

    def start_fresh(self, trials: int, done: Callable[[], None]) -> None:
        """Measure the same work in new Python processes, for comparison."""
        command = [sys.executable, "-c", FRESH_PROCESS, str(Path(__file__).resolve().parent)]
        for _ in range(trials):
            before_s = time.perf_counter()
            said = subprocess.run(
                command, input=json.dumps(self._rows[:1]), capture_output=True, text=True, check=False
            )
            self.measured.fresh_ms.append((time.perf_counter() - before_s) * 1000)
            if said.stdout.strip() != self._expected[0]:
                why = said.stderr.strip().splitlines()[-1:] or [said.stdout.strip()]
                raise RuntimeError(f"a new Python process did not answer {self._expected[0]!r}: {why[0]}")
            done()

    def finish(self) -> Measurements:
        """Wait until no worker is left, read what the engine did, and return everything."""
        wait_until_zero(self._platform)
        time.sleep(PAUSE_S)
        self.measured.ended_s = time.time()
        self.measured.events = self._platform.events(function=FUNCTION, since_s=self.measured.began_s)
        return self.measured


def ask_over_http(address: str, rows: Sequence[Any]) -> tuple[str, str]:
    """Classify rows as any client would, with JSON over HTTP, and return the first label and the model's version."""
    request = urllib.request.Request(
        f"{address}/function/{FUNCTION}", json.dumps(rows).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    return str(answer["labels"][0]), answer["model"]


def wait_until_zero(platform: skerry.EnginePlatform, function: str = FUNCTION, *, limit_s: float = 60.0) -> None:
    """Wait until a function has no worker at all.

    Raises:
        RuntimeError: it still has one when the time is over.
    """
    _wait(platform, function, lambda workers: not any(workers.values()), "scaled to zero", limit_s)


def wait_until_ready(platform: skerry.EnginePlatform, function: str, workers: int, *, limit_s: float = 60.0) -> None:
    """Wait until a function has a number of ready workers, and no other.

    Raises:
        RuntimeError: it does not when the time is over.
    """
    _wait(platform, function, lambda found: found["ready"] == workers == sum(found.values()), "started", limit_s)


def _wait(
    platform: skerry.EnginePlatform, function: str, fits: Callable[[dict[str, int]], bool], what: str, limit_s: float
) -> None:
    ends_at = time.monotonic() + limit_s
    while time.monotonic() < ends_at:
        found = platform.function(function)
        if fits(found["workers"]):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{function} has not {what} within {limit_s:g} s: {found['workers']}, {found['last_error']}")
