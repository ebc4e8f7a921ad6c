"""What the front counts of one revision of a function."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence

from skerry.observe.instruments import Callback, Counter, Histogram, Instrument, Split
from skerry.observe.metrics import Family, T

# OpenTelemetry's bounds for faas.*, and five below them: at the edge a handler takes less than their first.
SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025),
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CODE = "http_response_status_code"
CLIENT_LEFT = 499  # never sent: the caller left before its answer


class FunctionMetrics:
    """What one revision of a function has done; made by `ServingMetrics.function`.

    Args:
        families: Where its instruments are shown, by name.
        labels: The function and the revision.
    """

    __slots__ = (
        *("_batch_size", "_coldstarts", "_durations", "_families", "_handler", "_init"),
        *("_labels", "_phases", "_reasons", "_shown", "_wait", "cold_start_us", "handler_us"),
    )

    def __init__(self, families: Mapping[str, Family], labels: tuple[str, str]) -> None:
        self._families = families
        self._labels = labels
        self.handler_us = 0  # what workers have said, summed: whole microseconds, so that nothing is rounded
        self.cold_start_us = 0  # that workers took to start for which a request waited
        self._shown: list[tuple[Family, tuple[str, ...], Instrument]] = []
        self._durations: dict[int, Histogram] = {}  # by status code
        self._phases: dict[str, Histogram] = {}
        self._reasons: defaultdict[str, int] = defaultdict(int)
        self._coldstarts = self.show("faas_coldstarts_total", Counter())
        self._init = self.show("faas_init_duration_seconds", Histogram(SECONDS))
        self._handler = self.show("faas_invoke_duration_seconds", Histogram(SECONDS))
        self._wait = self.show("skerry_queue_wait_seconds", Histogram(SECONDS))
        self._batch_size = self.show("skerry_batch_size", Histogram(SIZES))
        self.show("skerry_batches_total", Split("reason", lambda: self._reasons))
        # These are in the histograms by status code already, and need not be counted once more.
        self.show("skerry_requests_total", Split(CODE, self._by_status))
        self.show("faas_invocations_total", Callback(lambda: self._count(range(400))))
        self.show("faas_errors_total", Callback(lambda: self._count(range(500, 600)) - self._count((504,))))
        self.show("faas_timeouts_total", Callback(lambda: self._count((504,))))

    def show(self, name: str, instrument: T, *further: str) -> T:
        """Show an instrument under this revision's labels, and the values of further ones, until `close`."""
        values = (*self._labels, *further)
        self._shown.append((self._families[name], values, instrument))
        return self._families[name].add(values, instrument)

    @property
    def durations(self) -> Mapping[int, Histogram]:
        """The time from arrival to answer, by status code."""
        return self._durations

    @property
    def handling(self) -> Histogram:
        """The handler's time."""
        return self._handler

    def close(self) -> None:
        """Show this revision no more."""
        for family, values, instrument in self._shown:
            family.remove(values, instrument)
        self._shown.clear()

    @property
    def requests(self) -> int:
        """Requests that have been answered, also those that no worker was given; not those whose callers left."""
        return sum(durations.count for status, durations in self._durations.items() if status != CLIENT_LEFT)

    @property
    def errors(self) -> int:
        """Requests whose answer had a status code of 500 or more."""
        return self._count(range(500, 600))

    @property
    def cold_starts(self) -> int:
        """Starts of workers for which a request waited."""
        return int(self._coldstarts.value)

    # The hot path: what `Histogram.observe` does is written out, for a call costs as much as the counting.

    def answered(self, status: int, total_s: float) -> None:
        """Count a request that has been answered, or given up by its caller (499).

        Args:
            status: The status code of the answer.
            total_s: Seconds from arrival to answer.
        """
        try:
            durations = self._durations[status]
        except KeyError:
            durations = self._first(status)
        durations.counts[bisect_left(SECONDS, total_s)] += 1
        durations.sum += total_s

    def answered_all(self, status: int, totals_s: Sequence[float]) -> None:
        """Count several requests that have been answered with the same status, such as the results of a batch."""
        try:
            durations = self._durations[status]
        except KeyError:
            durations = self._first(status)
        durations.observe_all(totals_s)

    def batch(self, waits_s: Sequence[float], reason: str) -> None:
        """Count requests that are handed to a worker together.

        Args:
            waits_s: For each of them, seconds that it waited.
            reason: Why they left now, one of a few words.
        """
        size = len(waits_s)
        self._batch_size.counts[bisect_left(SIZES, size)] += 1
        self._batch_size.sum += size
        self._reasons[reason] += 1
        waits = self._wait
        if size == 1:
            wait_s = waits_s[0]
            waits.counts[bisect_left(SECONDS, wait_s)] += 1
            waits.sum += wait_s
        else:
            waits.observe_all(waits_s)

    def handled(self, handler_s: float, size: int = 1) -> None:
        """Count the handler's run on a batch; each of its requests took as long as the whole."""
        handler = self._handler
        handler.counts[bisect_left(SECONDS, handler_s)] += size
        handler.sum += handler_s * size

    # Rare

    def worker_started(self, phases_ms: Mapping[str, float], *, cold: bool) -> None:
        """Count the start of a worker.

        Args:
            phases_ms: Milliseconds by phase: fork, confine, import, load.
            cold: Whether a request waited for it.
        """
        took_ms = sum(phases_ms.values())
        if cold:
            self._coldstarts.value += 1
            self.cold_start_us += round(took_ms * 1000)
        self._init.observe(took_ms / 1000)
        for phase, spent_ms in phases_ms.items():
            if phase not in self._phases:
                name = "skerry_init_phase_duration_seconds"
                self._phases[phase] = self.show(name, Histogram(SECONDS), phase)
            self._phases[phase].observe(spent_ms / 1000)

    # Inside

    def _first(self, status: int) -> Histogram:
        name = "kn_serving_invocation_duration_seconds"
        self._durations[status] = self.show(name, Histogram(SECONDS), str(status))
        return self._durations[status]

    def _by_status(self) -> dict[str, float]:
        return {str(status): durations.count for status, durations in sorted(self._durations.items())}

    def _count(self, statuses: Container[int]) -> int:
        return sum(durations.count for status, durations in self._durations.items() if status in statuses)
