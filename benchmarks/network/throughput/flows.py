"""Flow records per second through the loop: the highest rate of an exporter at which nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from benchmarks.network.throughput.exporter import Plan, make_plan, send
from benchmarks.network.throughput.place import Place

STEP = 1.25
MOST_TRIALS = 12
SETTLE_S = 1.0  # within which all is judged after the last datagram; a window and its lateness are 0.24 of it
LATE_S = 0.5  # an exporter that is later than that has not sent at its rate
_LOOK_S = 0.02


def highest(kept: Callable[[float], bool], start_per_s: float, *, step: float = STEP, most: int = MOST_TRIALS) -> float:
    """Return the highest rate of a ladder that is kept, with the next one not kept; 0 where none was.

    Args:
        kept: Tries a rate.
        start_per_s: The first one that is tried.
        step: The ratio of two rates that follow each other.
        most: Tries, at most.
    """
    best, rate, has_failed = 0.0, start_per_s, False
    for _ in range(most):
        if kept(rate):
            best = rate
            if has_failed:
                break
            rate *= step
        elif best:
            break
        else:
            has_failed = True
            rate /= step
    return best


class Defence:
    """The process that defends; see `defending`.

    Args:
        process: It.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        said = self._out.readline()
        if not said.strip().isdecimal():
            raise RuntimeError(f"the defence did not start: {said!r}")
        self.port = int(said)
        self.told = 0  # happenings, once it has ended

    def look(self) -> dict[str, Any]:
        """Return what it has counted."""
        print(file=self._in, flush=True)
        found: dict[str, Any] = json.loads(self._out.readline())
        return found

    def end(self) -> None:
        """Let it finish what it judges, and end."""
        self._in.close()
        self.told = int(self._out.readline())


@contextmanager
def defence(place: Place) -> Any:
    """Run a defence that tells the place's engine; it begins with an empty memory."""
    command = [sys.executable, "-m", "benchmarks.network.throughput.defending", str(place.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=place.environment, **pipes) as process:
        try:
            running = Defence(process)
            yield running
            running.end()
            process.wait(60)
        finally:
            process.kill()


def try_rate(place: Place, plan: Plan) -> dict[str, Any]:
    """Send a plan through the loop and return what became of it.

    Returns:
        Whether it was ``kept``: every record was decoded, every packet judged within `SETTLE_S`, nothing refused or
        dropped, no number missing, and each happening that was told has had its effect once.
    """
    told_before = place.number("told")
    with defence(place) as running:
        before, began_s = running.look(), time.time()
        late_s = send(plan, running.port)
        sent_s = time.perf_counter()
        after = _settled(running, plan)
        settled_s, ended_s = time.perf_counter() - sent_s, time.time()
    told = running.told
    reacted = place.wait(lambda: place.number("told") - told_before >= told, 60)
    found = {
        "rate_per_s": plan.rate_per_s,
        "records": plan.records,
        "lost_records": plan.records - after["records"],
        "lost_packets": plan.packets - after["packets"],
        **{name: after[name] for name in ("dropped", "gaps", "refused", "windows", "slices")},
        **{name: after[name] for name in ("lag_p50_ms", "lag_max_ms")},
        "told": told,
        "reacted": place.number("told") - told_before,
        "exporter_late_s": late_s,
        "settled_s": settled_s,
        "cpu_us_per_record": {
            name: (after[f"cpu_{key}"] - before[f"cpu_{key}"]) / plan.records * 1e6
            for name, key in (("all", "s"), ("collector", "collector_s"), ("loop", "loop_s"))
        },
        "span_s": (began_s, ended_s),
    }
    whole = not any(found[name] for name in ("lost_records", "lost_packets", "dropped", "gaps", "refused"))
    found["exact"] = reacted and found["reacted"] == told > 0  # nothing told of an attack is nothing measured
    found["kept"] = whole and settled_s <= SETTLE_S and late_s <= LATE_S and found["exact"]
    return found


def _settled(running: Defence, plan: Plan) -> dict[str, Any]:
    """Return the counts once all packets are judged, or once none were for some seconds."""
    found, changed_s = running.look(), time.monotonic()
    while found["packets"] < plan.packets and time.monotonic() - changed_s < 5:
        time.sleep(_LOOK_S)
        latest = running.look()
        if latest["packets"] != found["packets"]:
            changed_s = time.monotonic()
        found = latest
    return found


def search(place: Place, start_per_s: float, seconds: float) -> list[dict[str, Any]]:
    """Return the trials of one search, of which the last kept one with the highest rate is its result."""
    trials: list[dict[str, Any]] = []

    def kept(rate_per_s: float) -> bool:
        trials.append(try_rate(place, make_plan(rate_per_s, seconds)))
        return bool(trials[-1]["kept"])

    highest(kept, start_per_s)
    return trials
