"""What the broker counts, for Prometheus.

``event_count``, ``event_processing_latencies`` and ``event_dispatch_latencies`` are what Knative's brokers count under
these names, in Prometheus' form: with their unit, which is seconds here.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from skerry.observe import Callback, Counter, Family, Histogram, Registry, Split
from skerry.observe.function_metrics import SECONDS
from skerry.observe.instruments import Instrument

if TYPE_CHECKING:
    from skerry.events.feed import Feed

TRIGGER = ("trigger_name", "faas_name")
CODE = "response_code"
# Name: kind, help. The first ones are the broker's, the others have the labels of a trigger.
BROKER: Mapping[str, tuple[str, str]] = {
    "skerry_events_accepted_total": ("counter", "Events that were accepted, those known already included."),
    "skerry_events_duplicates_total": ("counter", "Accepted events that were known already."),
    "skerry_events_refused_total": ("counter", "Events that were refused for want of room or of a backlog."),
    "skerry_events_accept_duration_seconds": ("histogram", "Time from a request's events until they are durable."),
    "skerry_events_waiting": ("gauge", "Deliveries that no function has dealt with, of all triggers."),
}
OF_TRIGGERS: Mapping[str, tuple[str, str]] = {
    "event_count_total": ("counter", "Attempts to deliver an event, by the answer's code."),
    "event_processing_latencies_seconds": ("histogram", "Time from acceptance to the first attempt."),
    "event_dispatch_latencies_seconds": ("histogram", "Time from an attempt's begin to its answer, queue included."),
    "skerry_event_retries_total": ("counter", "Attempts that were not the first."),
    "skerry_dead_letters_total": ("counter", "Deliveries that were given up."),
    "skerry_backlog_deliveries": ("gauge", "Deliveries that the function has not dealt with."),
    "skerry_backlog_in_flight": ("gauge", "Deliveries that the function holds."),
    "skerry_backlog_oldest_age_seconds": ("gauge", "Age of the first event that the function has not dealt with."),
}


class TriggerMetrics:
    """What one trigger has done; made by `BrokerMetrics.trigger`."""

    __slots__ = ("_codes", "_shown", "dispatch", "processing", "retries")

    def __init__(self) -> None:
        self.processing = Histogram(SECONDS)
        self.dispatch = Histogram(SECONDS)
        self.retries = Counter()
        self._codes: defaultdict[str, int] = defaultdict(int)
        self._shown: list[tuple[Family, tuple[str, ...], Instrument]] = []

    def answered(self, code: int, took_s: float, count: int) -> None:
        """Count an attempt with so many events."""
        self._codes[str(code)] += count
        self.dispatch.observe_many(took_s, count)

    def show(
        self,
        families: Mapping[str, Family],
        labels: tuple[str, str],
        further: Mapping[str, Callable[[], float]],
    ) -> None:
        """Show all of it, and numbers that are asked for, until `close`."""
        instruments: dict[str, Instrument] = {
            "event_count_total": Split(CODE, lambda: self._codes),
            "event_processing_latencies_seconds": self.processing,
            "event_dispatch_latencies_seconds": self.dispatch,
            "skerry_event_retries_total": self.retries,
            **{name: Callback(read) for name, read in further.items()},
        }
        for name, instrument in instruments.items():
            families[name].add(labels, instrument)
            self._shown.append((families[name], labels, instrument))

    def close(self) -> None:
        """Show it no more."""
        for family, labels, instrument in self._shown:
            family.remove(labels, instrument)
        self._shown.clear()


class BrokerMetrics:
    """The metrics of one broker.

    Args:
        registry: Where they are declared; each name can be declared once.
    """

    def __init__(self, registry: Registry) -> None:
        self._broker = {name: registry.family(name, kind, text) for name, (kind, text) in BROKER.items()}
        self._families = {
            name: registry.family(name, kind, text, TRIGGER) for name, (kind, text) in OF_TRIGGERS.items()
        }
        self.accepted = self._broker["skerry_events_accepted_total"].add((), Counter())
        self.duplicates = self._broker["skerry_events_duplicates_total"].add((), Counter())
        self.refused = self._broker["skerry_events_refused_total"].add((), Counter())
        self.accepting = self._broker["skerry_events_accept_duration_seconds"].add((), Histogram(SECONDS))

    def show_waiting(self, read: Callable[[], float]) -> None:
        """Show how many deliveries wait."""
        self._broker["skerry_events_waiting"].add((), Callback(read))

    def trigger(self, name: str, function: str, further: Mapping[str, Callable[[], float]]) -> TriggerMetrics:
        """Return what counts a trigger.

        Args:
            name: The trigger's.
            function: Whom it feeds.
            further: Numbers that are asked for, by the names of metrics.
        """
        metrics = TriggerMetrics()
        metrics.show(self._families, (name, function), further)
        return metrics


def numbers_of(feed: Feed) -> dict[str, Callable[[], float]]:
    """Return what is asked for about a trigger when somebody looks, by the names of metrics."""

    def oldest_age_s() -> float:
        oldest_s = feed.line.oldest_s()
        return 0.0 if oldest_s is None else max(0.0, time.time() - oldest_s)

    return {
        "skerry_dead_letters_total": lambda: feed.dead,
        "skerry_backlog_deliveries": lambda: feed.waiting,
        "skerry_backlog_in_flight": lambda: feed.line.in_flight,
        "skerry_backlog_oldest_age_seconds": oldest_age_s,
    }
