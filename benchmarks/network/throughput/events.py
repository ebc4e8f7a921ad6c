"""Events per second through the broker to the effect in a state, exactly once."""

from __future__ import annotations

import time
from typing import Any

import skerry
from benchmarks.event_client import flood, requests_of
from benchmarks.network.throughput.place import Place
from skerry.platforms.engine.client import EnginePlatform


def flooded(place: Place, name: str, *, events: int, size: int, connections: int) -> dict[str, Any]:
    """Publish as fast as it goes; return events per second until the last effect was there.

    Args:
        place: The engine.
        name: Of the round: events of another name are others.
        events: How many.
        size: In one request.
        connections: That publish at the same time.
    """
    requests = requests_of(name, events, size, float(events), 1000)
    own_s, spent_s = time.process_time(), place.spent_s()
    began_s = flood(place.port, requests, connections)
    published_s = time.time()
    return _finished(place, name, events, began_s, published_s, (own_s, spent_s))


def told(place: Place, name: str, *, events: int) -> dict[str, Any]:
    """Publish one event after the other, as a defence tells its happenings; return events per second."""
    platform = EnginePlatform.of_home(place.home)
    own_s, spent_s = time.process_time(), place.spent_s()
    began_s = time.time()
    for number in range(events):
        platform.publish([skerry.Event(type="measured", source=f"/{name}", id=str(number), data={"reason": "x" * 80})])
    return _finished(place, name, events, began_s, time.time(), (own_s, spent_s))


def _finished(
    place: Place, name: str, events: int, began_s: float, published_s: float, before: tuple[float, dict[str, float]]
) -> dict[str, Any]:
    place.wait(lambda: place.number(f"count/{name}") >= events)
    ended_s, own_s, spent_s = time.time(), time.process_time(), place.spent_s()
    counted, numbers = place.number(f"count/{name}"), place.number(f"numbers/{name}")
    return {
        "events": events,
        "events_per_s": events / (ended_s - began_s),
        "published_per_s": events / (published_s - began_s),
        # Each event adds its number: what is lost does not hide behind what has happened twice.
        "exact": counted == events and numbers == events * (events - 1) // 2,
        "cpu_us_per_event": {
            **{who: (value - before[1][who]) / events * 1e6 for who, value in spent_s.items()},
            "client": (own_s - before[0]) / events * 1e6,
        },
        "span_s": (began_s, ended_s),
    }
