"""Durable events per second, and how soon they are with their function: ``python -m benchmarks.events``.

One engine, one function with one trigger, one client process on the same machine. The client publishes batches over
HTTP (``application/cloudevents-batch+json``) on keep-alive connections, each of which waits for the 202 of its batch,
which the engine sends after the commit. Two rounds:

* throughput: all connections publish as fast as they are answered. The rate is events over the time from the first
  request to the moment when the last event was with the function.
* latency: batches are sent by a plan at half the bar's rate, whatever becomes of those before. The latency of an event
  is the time from its intended moment to the first line of the handler, by the clock of the machine. How late the
  client was itself, which shares the processors with the engine, is said beside it and subtracted from nothing, and so
  is what the engine's own histograms say of each stage.

A control stands beside both: the share of moments in which the machine itself ran at less than a third of its usual
speed (`measuring.SpeedWatch`), and how many events were late of those that were meant neither in such a spell, nor
right before it, nor in the 100 ms after. The bars are measured with all events.

``--together`` is how many events one call of the function takes as a list; 1 gives them singly.
"""

from __future__ import annotations

import argparse
import math
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.event_client import flood, pace, requests_of
from benchmarks.event_stages import LIMITS_S, processor_s, scrape, stages
from benchmarks.measuring import SpeedWatch, facts, line, save, slow_spells, spread

BAR_PER_S = 8450.0
BAR_MS = 18.7
BAR_RATIO = 0.999

APP = """
import os, struct, time
import skerry

app = skerry.App("measured")
FOLDER = {folder!r}

@app.on(skerry.Event(type="measured"){batch})
class Note:
    def load(self):
        self.file = open(os.path.join(FOLDER, str(os.getpid())), "ab", buffering=0)

    def __call__(self, {parameter}) -> None:
        now = time.time()
        {body}
"""
SINGLY = ("event: skerry.Event", "self.file.write(struct.pack('dd', event.data['at'], now))")
AS_LIST = (
    "events: list[skerry.Event]",
    "self.file.write(b''.join(struct.pack('dd', one.data['at'], now) for one in events))",
)


class Place:
    """An engine with the measured function in a temporary folder."""

    def __init__(self, folder: Path, together: int) -> None:
        self.records = folder / "records"
        self.records.mkdir()
        parameter, body = SINGLY if together == 1 else AS_LIST
        batch = "" if together == 1 else f", batch={together}"
        source = APP.format(folder=str(self.records), batch=batch, parameter=parameter, body=body)
        (folder / "app.py").write_text(source)
        command = [sys.executable, "-m", "skerry.engine", "--home", str(folder / "home"), "--port", "0"]
        self.process = subprocess.Popen([*command, "--serve", str(folder / "app.py")], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        said = self.process.stdout.readline().decode()
        if not said.startswith("skerry engine: http://"):
            raise RuntimeError(f"the engine did not start: {said}")
        self.port = int(said.strip().rpartition(":")[2])

    def taken(self) -> list[tuple[float, float]]:
        """Return the intended moment and the arrival of every event that the function has got."""
        data = b"".join(path.read_bytes() for path in self.records.iterdir())
        return list(struct.iter_unpack("dd", data[: len(data) // 16 * 16]))

    def forget(self) -> None:
        """Begin a new round."""
        for path in self.records.iterdir():
            os.truncate(path, 0)

    def wait(self, count: int, within_s: float) -> list[tuple[float, float]]:
        """Return what `taken` does once there are so many."""
        until = time.monotonic() + within_s
        while True:
            found = sum(path.stat().st_size for path in self.records.iterdir()) // 16
            if found >= count:
                return self.taken()
            if time.monotonic() > until:
                raise RuntimeError(f"{found} of {count} events were with the function after {within_s:g} s")
            time.sleep(0.05)

    def close(self) -> None:
        """Stop the engine."""
        self.process.terminate()
        self.process.wait(30)


def measure(options: argparse.Namespace, together: int) -> dict[str, Any]:
    """Run both rounds and return their figures."""
    with tempfile.TemporaryDirectory(prefix="skerry-events-", dir=options.folder) as folder, SpeedWatch() as watch:
        place = Place(Path(folder), together)
        try:
            flood(place.port, requests_of("warm", options.size * 20, options.size, BAR_PER_S, options.keys), 1)
            place.wait(options.size * 20, 60)  # warm: workers are there
            place.forget()
            rate, latency = measure_rate(options, place, watch), measure_latency(options, place, watch)
            return {"together": together, **rate, **latency}
        finally:
            place.close()


def measure_rate(options: argparse.Namespace, place: Place, watch: SpeedWatch) -> dict[str, Any]:
    """Publish as fast as it goes; return events per second until the last one was with the function."""
    requests = requests_of("flood", options.events, options.size, BAR_PER_S, options.keys)
    began_s = flood(place.port, requests, options.connections)
    moments = place.wait(options.events, 300)
    place.forget()
    ended_s = max(arrival for _, arrival in moments)
    return {
        "rate_per_s": options.events / (ended_s - began_s),
        "rate_machine_slow_ratio": watch.slow_ratio(began_s, ended_s),
    }


def measure_latency(options: argparse.Namespace, place: Place, watch: SpeedWatch) -> dict[str, Any]:
    """Publish by a plan at half the bar's rate; return how soon events were with the function, and why."""
    rate_per_s, size = BAR_PER_S / 2, options.paced_size
    count = int(options.seconds * rate_per_s) // size * size
    requests = requests_of("pace", count, size, rate_per_s, options.keys)
    before, spent_s, own_s = scrape(place.port), processor_s(place.process.pid), time.process_time()
    began_s, sent = pace(place.port, requests, size / rate_per_s)
    own_s = time.process_time() - own_s
    moments = place.wait(count, 300)
    after, now_s = scrape(place.port), processor_s(place.process.pid)
    woke_s = {round((one.meant_s - began_s) * rate_per_s): one.woke_s for one in sent}
    latencies = sorted((arrival - began_s - at) * 1000 for at, arrival in moments)
    from_waking = sorted((arrival - woke_s[round(at * rate_per_s)]) * 1000 for at, arrival in moments)
    late = sorted((one.woke_s - one.meant_s) * 1000 for one in sent)
    return {
        "latency_ms": spread(latencies),
        "within_bar_ratio": sum(value <= BAR_MS for value in latencies) / count,
        "p999_ms": quantile(latencies, BAR_RATIO),
        # The two below tell what the client's own lateness has to do with it; the bar is measured with it.
        "from_waking": {
            "within_bar_ratio": sum(value <= BAR_MS for value in from_waking) / count,
            "p999_ms": quantile(from_waking, BAR_RATIO),
        },
        "machine_slow_ratio": watch.slow_ratio(began_s, max(arrival for _, arrival in moments)),
        "apart_from_slow": apart_from_slow([(began_s + at, arrival) for at, arrival in moments], watch),
        "client_late_ms": {**spread(late), "p99": quantile(late, 0.99), "p999": quantile(late, BAR_RATIO)},
        "answered_ms": spread([(one.answered_s - one.woke_s) * 1000 for one in sent]),
        "processor_us_per_event": {
            "engine": (now_s["engine"] - spent_s["engine"]) / count * 1e6,
            "workers": (now_s["workers"] - spent_s["workers"]) / count * 1e6,
            "client": own_s / count * 1e6,
        },
        "stages": stages(before, after),
    }


def apart_from_slow(moments: list[tuple[float, float]], watch: SpeedWatch) -> dict[str, Any]:
    """Return how many events were late of those that no slow spell of the machine can have held up.

    Which these are is told by the moments at which they were meant, not by when they came: else late ones, which are
    under way for longer, would be left out more often.

    Args:
        moments: When each event was meant and when it came, Unix seconds.
        watch: What watched the machine.
    """
    spells = slow_spells(watch.probes())
    apart = [arrival - meant for meant, arrival in moments if not spells.touch(meant, before_s=BAR_MS / 1000)]
    late, all_late = (sum(taken * 1000 > BAR_MS for taken in some) for some in (apart, [b - a for a, b in moments]))
    return {
        "events_ratio": len(apart) / len(moments),
        "late_ratio": late / len(apart) if apart else None,
        "of_all_late_ratio": late / all_late if all_late else None,
    }


def quantile(ordered: list[float], ratio: float) -> float:
    """Return the value that so many of the sorted ones do not exceed."""
    return ordered[math.ceil(len(ordered) * ratio) - 1]


def tell(one: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the figures of one function."""
    late, spent, waking = one["client_late_ms"], one["processor_us_per_event"], one["from_waking"]
    print(f"\nfunction takes {one['together']} at a time, client sends {options.size} in a request")
    print(f"  accepted and dispatched: {one['rate_per_s']:.0f} events/s (bar {BAR_PER_S:.0f})")
    print(
        f"  at half the bar, {options.paced_size} in a request: {one['within_bar_ratio'] * 100:.3f} % within "
        f"{BAR_MS} ms (bar 99.9 %), p99.9 {one['p999_ms']:.1f} ms"
    )
    print("  " + line("latency", one["latency_ms"], "ms"))
    print(
        f"  from when the client turned to them: {waking['within_bar_ratio'] * 100:.3f} %, "
        f"p99.9 {waking['p999_ms']:.1f} ms"
    )
    apart = one["apart_from_slow"]
    print(
        f"  the machine ran at less than a third of its speed in {percent(one['rate_machine_slow_ratio'])} of the "
        f"moments of the first round, {percent(one['machine_slow_ratio'])} of the second; apart from those and what "
        f"follows ({percent(apart['events_ratio'])} of the events) {percent(apart['late_ratio'])} were late, "
        f"{percent(apart['of_all_late_ratio'])} of all late ones"
    )
    print(f"  the client was late by {late['median']:.2f} ms, p99.9 {late['p999']:.1f} ms, max {late['max']:.1f} ms")
    print("  processor time of an event: " + ", ".join(f"{name} {value:.1f} us" for name, value in spent.items()))
    for stage, values in one["stages"].items():
        over = ", ".join(f"{values[f'over_{s * 1000:g}_ms_ratio'] * 100:.3f} % over {s * 1000:g} ms" for s in LIMITS_S)
        print(f"    {stage:<34} mean {values['mean_ms']:.2f} ms, {over}")


def percent(ratio: float | None) -> str:
    """Return a ratio for people."""
    return "unknown" if ratio is None else f"{ratio * 100:.2f} %"


def main() -> None:
    """Measure, say it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="of the throughput round")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the latency round")
    parser.add_argument("--size", type=int, default=100, help="events in a request of the throughput round")
    parser.add_argument("--paced-size", type=int, default=10, help="events in a request of the latency round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--keys", type=int, default=1000, help="different partition keys")
    parser.add_argument("--together", type=int, nargs="*", default=[1, 100], help="events in a call of the function")
    parser.add_argument("--folder", default=None, help="where the engine's folder is made")
    options = parser.parse_args()
    found = [measure(options, together) for together in options.together]
    for one in found:
        tell(one, options)
    settings = {key: value for key, value in vars(options).items() if key != "folder"}
    path = save("events", {"facts": facts(["skerry", "uvloop", "orjson"]), "settings": settings, "rounds": found})
    print(f"\n{path}")


if __name__ == "__main__":
    main()
