"""Floods of packets that belong to no connection, such as bare acknowledgements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from skerry.errors import ConfigError
from skerry.network.actions import Address
from skerry.network.detection.connections import TCP, ConnectionTable, key_of
from skerry.network.detection.detector import Detector, Verdict
from skerry.network.detection.kind import Kind
from skerry.network.detection.traffic import Slice, Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayRules:
    """When there are too many packets without a connection.

    Attributes:
        least_per_s: Packets per second, at least.
        least_ratio: Their share of the TCP packets, at least, in (0, 1].
        most_counted: Packets of one connection in one window that count, for both, from 1. One busy connection whose
            opening was missed is no flood.
        warm_up_s: Seconds in which everything to a destination is taken for a connection that began earlier.
        idle_s: Seconds without a packet after which a connection is forgotten.
        most_destinations: Destinations that are watched; the one not seen for longest is forgotten.
    """

    least_per_s: float = 500.0
    least_ratio: float = 0.5
    most_counted: float = 20.0
    warm_up_s: float = 3.0
    idle_s: float = 60.0
    most_destinations: int = 10_000

    def __post_init__(self) -> None:
        """Refuse rules without a meaning.

        Raises:
            ConfigError: one is out of range.
        """
        if self.least_per_s <= 0 or not 0 < self.least_ratio <= 1 or self.most_counted < 1:
            raise ConfigError("least_per_s is above 0, least_ratio in (0, 1], and most_counted from 1")
        if self.warm_up_s < 0 or self.idle_s <= self.warm_up_s or self.most_destinations < 1:
            raise ConfigError("warm_up_s is from 0, idle_s above it, and most_destinations from 1")


class StrayDetector(Detector):
    """Raises an alarm when much of a destination's TCP traffic belongs to no connection that was opened.

    It watches with each window that it judges which connections are opened. It learns from quiet ones: a connection of
    those is known, also without its opening. It says nothing where an exporter samples, which misses openings, nor
    where there are more connections than it can know.

    Args:
        rules: When there are too many.
    """

    name: ClassVar[str] = "strays"

    def __init__(self, rules: StrayRules | None = None) -> None:
        self._rules = rules if rules is not None else StrayRules()
        self._table = ConnectionTable(idle_s=self._rules.idle_s)
        self._watched: dict[Address, _Watch] = {}
        self._judged: tuple[Traffic, list[Slice]] | None = None  # the latest window, and what it had of no connection

    def judge(self, window: Traffic) -> Verdict:
        """Return how many packets per second belong to no connection."""
        rules = self._rules
        if window.sampling > 1:
            return Verdict(alarm=False, score=0.0, reason="the exporter samples, so openings of connections are missed")
        watch = self._watch(window)
        warming = window.ended_s - watch.began_s < rules.warm_up_s
        strays = self._table.see(window, adopt=warming)
        self._judged = window, strays
        if warming or self._table.full:
            words = "was just begun to be watched" if warming else "has more connections than can be known"
            return Verdict(alarm=False, score=0.0, reason=f"{window.destination} {words}")
        counted = self._count(strays)
        per_s = counted / window.length_s
        all_tcp = self._count(item for item in window.slices if item.protocol is TCP)
        ratio = counted / all_tcp if all_tcp else 0.0
        score = min(per_s / rules.least_per_s, ratio / rules.least_ratio)
        return Verdict(
            alarm=score > 1.0,
            score=score,
            reason=f"{per_s:.0f} packets/s of TCP to {window.destination} belong to no connection ({ratio:.0%})",
            evidence={"stray_per_s": per_s, "stray_ratio": ratio},
            kinds=(Kind.CONNECTED,),
            suspects=tuple(strays) if score > 1.0 else (),
        )

    def learn(self, window: Traffic) -> None:
        """Take a window's connections as known."""
        if self._judged is not None and self._judged[0] is window:  # then most of them are known already
            window = replace(window, slices=self._judged[1])
        self._table.see(window, adopt=True)

    def _count(self, slices: Iterable[Slice]) -> float:
        packets: dict[tuple[int, int, int], float] = {}
        for item in slices:
            key = key_of(item)
            packets[key] = min(packets.get(key, 0.0) + item.packets, self._rules.most_counted)
        return sum(packets.values())

    def _watch(self, window: Traffic) -> _Watch:
        watch = self._watched.pop(window.destination, None)
        if watch is None or window.ended_s - watch.last_s >= self._rules.idle_s:
            watch = _Watch(began_s=window.ended_s, last_s=window.ended_s)
            if len(self._watched) >= self._rules.most_destinations:
                self._watched.pop(next(iter(self._watched)))
        watch.last_s = window.ended_s
        self._watched[window.destination] = watch  # the latest is last
        return watch


@dataclass(slots=True)
class _Watch:
    """Since when a destination is watched without a gap, and when it was seen last."""

    began_s: float
    last_s: float
