"""The loop's eyes: flow records of exporters, as windows of traffic that have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Literal

from skerry.errors import ConfigError
from skerry.network.actions import Address, Network
from skerry.network.detection import Traffic, make_traffic
from skerry.network.features import split
from skerry.network.flows import FlowBatch, FlowCollector
from skerry.network.slicing import slice_by_destination

# By the exporter's clock a record belongs at most so long before it arrived: who forges one cannot open many windows.
OLDEST_MS = 5000
# Spans of time that are handed over at once; the others follow.
MOST_SPANS = 50
# Batches that are taken at once; a collector has fewer, but it goes on while they are taken.
MOST_WAITING = 16

Clock = Literal["received_ms", "last_ms"]
Known = Callable[[Address], Collection[Address]]


class FlowWindows:
    """Puts batches of flow records into windows of time, and hands over those that have ended.

    Args:
        width_ms: How long a window is. An exporter that tells what it has seen once a second needs windows of a second,
            one that tells each packet by itself can have 100 ms.
        clock: ``received_ms``: a record belongs to when it arrived; or ``last_ms``: to when its last packet came, as
            the exporter says. An exporter that gathers packets while it is calm tells many at once, and the second
            clock takes them apart again; a window ends there when a later record comes. All exporters need one time.
            By the first clock, a record that comes when its window has just ended counts in the next one.
        scope: Networks whose addresses are watched; all by default.
        late_ms: How long after the end of a window records of it may come.
        idle_ms: Windows of ``last_ms`` end as well when nothing has come for so long.
        known: Returns the sources of a destination that were seen before.

    Raises:
        ConfigError: the width is below 10 ms.
    """

    def __init__(
        self,
        *,
        width_ms: int = 200,
        clock: Clock = "received_ms",
        scope: Sequence[Network] = (),
        late_ms: int = 60,
        idle_ms: int = 2500,
        known: Known = lambda destination: (),
    ) -> None:
        if width_ms < 10:
            raise ConfigError(f"width_ms={width_ms}: windows are from 10 ms")
        self._width_ms = width_ms
        self._clock = clock
        self._scope = tuple(scope)
        self._late_ms = late_ms
        self._idle_ms = idle_ms
        self._known = known
        self._open: dict[int, list[FlowBatch]] = {}
        self._arrived_ms = 0
        self._taken_ms = 0
        self._behind_ms = 0
        self._latest_ms = 0
        self._ended_ms = 0
        self._failure: Exception | None = None

    def add(self, batch: FlowBatch, *, now_ms: int | None = None) -> None:
        """Take records in the order in which they arrived.

        Args:
            batch: The records.
            now_ms: The time, Unix time; when they arrived by default. Of records that have waited in a buffer it says
                that others wait there as well, and so windows end later, by 5 s at most.
        """
        if not len(batch):
            return
        arrived_ms = int(batch["received_ms"].max())
        self._taken_ms = arrived_ms if now_ms is None else now_ms
        # Who is behind with reading has not seen all of a window that is over. Records that only waited for their
        # template do not say so: they are older than those before them.
        lag_ms = self._taken_ms - arrived_ms if arrived_ms >= self._arrived_ms else 0
        self._behind_ms = min(max(0, lag_ms - self._late_ms), OLDEST_MS)
        if arrived_ms < self._arrived_ms:  # the clock was set back, and what has come since is in the past again
            self._latest_ms = min(self._latest_ms, arrived_ms)
        self._arrived_ms = arrived_ms
        if self._clock == "last_ms":
            batch = FlowBatch(records=batch.records.copy())
            received_ms = batch["received_ms"]
            # Nothing comes from the future, nor from long ago.
            batch["last_ms"][:] = batch["last_ms"].clip(min=received_ms - OLDEST_MS, max=received_ms)
            self._latest_ms = max(self._latest_ms, int(batch["last_ms"].max()))
        else:
            batch = self._move_late(batch)
        for window, part in split(batch, self._width_ms, clock=self._clock):
            self._open.setdefault(window.start_ms, []).append(part)

    def _move_late(self, batch: FlowBatch) -> FlowBatch:
        """Move records that lay in a buffer while their window ended into the next one: a window is judged once.

        Records come in the order of arrival, so it was the latest that has ended. What is older than that has waited
        for its template, and keeps its time: a minute of it in one window would look like a flood.
        """
        at_ms = batch["received_ms"]
        late = (at_ms < self._ended_ms) & (at_ms >= self._ended_ms - self._width_ms)
        if not late.any():
            return batch
        moved = FlowBatch(records=batch.records.copy())
        moved["received_ms"][late] = self._ended_ms
        return moved

    def next_end_ms(self) -> int | None:
        """Return until when a window ends if nothing more comes, Unix time; None without a window."""
        if not self._open:
            return None
        if self._clock == "last_ms":
            return self._taken_ms + self._idle_ms
        return min(self._open) + self._width_ms + self._late_ms + self._behind_ms

    def ended(self, now_ms: int) -> list[Traffic]:
        """Return the windows that have ended, each destination's by itself; of many, the earliest.

        A window that cannot be made is lost, and what it raised is raised by itself: those before it are handed over.

        Args:
            now_ms: The time, Unix time.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if now_ms < self._ended_ms:  # the clock was set back
            self._ended_ms = 0
        until_ms = now_ms
        if self._clock == "received_ms":
            until_ms -= self._behind_ms
        elif now_ms < self._taken_ms + self._idle_ms:
            until_ms = self._latest_ms
        over = sorted(start for start in self._open if start + self._width_ms + self._late_ms <= until_ms)
        found: list[Traffic] = []
        for start in over[:MOST_SPANS]:
            try:
                self._ended_ms = max(self._ended_ms, start + self._width_ms)
                found += self._windows(start)
            except Exception as error:  # of records that nobody has thought of
                if not found:
                    raise
                self._failure = error
                break
        return found

    def _windows(self, start_ms: int) -> list[Traffic]:
        return [
            make_traffic(
                found.destination,
                found.slices,
                ended_s=(start_ms + self._width_ms) / 1000,
                length_s=self._width_ms / 1000,
                known=self._known(found.destination),
                sampling=found.sampling,
            )
            for found in slice_by_destination(FlowBatch.join(self._open.pop(start_ms)), self._scope)
        ]


class FlowSensor:
    """Waits for windows of what a collector receives: what the loop takes as its sensor.

    Args:
        collector: Listens; it is open.
        windows: How its records become windows.

    Example:
        ```python
        with FlowCollector(port=2055, interval_ms=20) as collector:
            loop.run(FlowSensor(collector, FlowWindows(scope=[ip_network("192.0.2.0/24")])), stopped)
        ```
    """

    def __init__(self, collector: FlowCollector, windows: FlowWindows) -> None:
        self._collector = collector
        self._windows = windows

    def __call__(self, timeout_s: float) -> Sequence[Traffic]:
        """Return the windows that have ended, as soon as there is one; none when there is none in time."""
        until_ms = _now_ms() + timeout_s * 1000
        self._take_waiting()
        while True:
            ended = self._windows.ended(int(_now_ms()))
            now_ms = _now_ms()
            if ended or now_ms >= until_ms:
                return ended
            end_ms = self._windows.next_end_ms()
            wait_ms = min(until_ms, until_ms if end_ms is None else end_ms) - now_ms
            batch = self._collector.take(max(wait_ms, 1.0) / 1000)
            if batch is not None:
                self._windows.add(batch, now_ms=int(_now_ms()))
                self._take_waiting()

    def _take_waiting(self) -> None:
        """Take what came while others were judged: else a window ends while a part of it is with the collector."""
        for _ in range(MOST_WAITING):
            batch = self._collector.take(0.0)
            if batch is None:
                return
            self._windows.add(batch, now_ms=int(_now_ms()))


def _now_ms() -> float:
    return time.time() * 1000  # the collector's clock
