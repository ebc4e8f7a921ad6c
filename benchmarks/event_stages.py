"""Where the time of events goes: the engine's own histograms, and the processor time of its processes, of one round."""

from __future__ import annotations

import http.client
import os
import re
from pathlib import Path

# What an event goes through, in order, and the histogram that counts it. The third one contains the two after it.
STAGES = {
    "read and committed": "skerry_events_accept_duration_seconds",
    "until it is given to the function": "event_processing_latencies_seconds",
    "queue, worker and answer": "event_dispatch_latencies_seconds",
    "  queue": "skerry_queue_wait_seconds",
    "  handler": "faas_invoke_duration_seconds",
}
LIMITS_S = (0.005, 0.01, 0.025)
_SAMPLE = re.compile(r'(\w+)_(bucket|sum|count)(?:\{(?:.*?le="([^"]+)")?[^}]*\})? (\S+)')

Buckets = dict[str, dict[str, float]]


def scrape(port: int) -> Buckets:
    """Return the engine's histograms: buckets by their upper end, and ``sum`` and ``count``."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics")
    found: Buckets = {}
    for row in connection.getresponse().read().decode().splitlines():
        match = _SAMPLE.fullmatch(row)
        if match is not None and match[1] in STAGES.values():
            values = found.setdefault(match[1], {})
            name = match[3] if match[2] == "bucket" else match[2]
            values[name] = values.get(name, 0.0) + float(match[4])
    connection.close()
    return found


def stages(before: Buckets, after: Buckets) -> dict[str, dict[str, float]]:
    """Return the mean of each stage, ms, and the share that took longer than some limits."""
    found = {}
    for stage, name in STAGES.items():
        values = {key: value - before.get(name, {}).get(key, 0.0) for key, value in after.get(name, {}).items()}
        count = values.get("count", 0.0)
        if count:
            over = {f"over_{limit * 1000:g}_ms_ratio": 1 - values[repr(limit)] / count for limit in LIMITS_S}
            found[stage] = {"mean_ms": values["sum"] / count * 1000, "count": count, **over}
    return found


def processor_s(pid: int) -> dict[str, float]:
    """Return the processor seconds of an engine, and of the processes below it."""
    found = {"engine": _spent_s(pid), "workers": 0.0}
    below = _children(pid)
    while below:
        child = below.pop()
        found["workers"] += _spent_s(child)
        below += _children(child)
    return found


def _spent_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
