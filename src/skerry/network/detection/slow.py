"""Low and slow: many connections to one port that are held open with next to nothing, or are never completed."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import ClassVar

from skerry.errors import ConfigError
from skerry.network.actions import Address, Flag
from skerry.network.detection.connections import ACK, SYN, TCP, Connection, ConnectionTable, Key, key_of
from skerry.network.detection.detector import Detector, Verdict
from skerry.network.detection.kind import Kind
from skerry.network.detection.traffic import Slice, Traffic

_HANDSHAKE = SYN | ACK
# How many times `half_open_s` a connection that is not completed is old when it does not count any more.
_OLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowRules:
    """When there are too many slow connections.

    Attributes:
        least_connections: Slow or half-open connections to one port, at least.
        slow_s: Seconds that lie between a slow connection's first and latest packets, at least.
        most_bytes_per_s: Bytes per second that a slow connection sends, at most.
        half_open_s: Seconds after which a connection that is not completed counts as half-open, for twice as long.
        half_open_ratio: Share of a port's connections that are half-open, at least. Where clients give up because a
            server is overrun, others are answered.
        idle_s: Seconds without a packet after which a connection is forgotten.
        look_s: How often connections are counted.
        factor: How many times the ordinary number is too much, from 1.
        quantile_ratio: Which quantile of the quiet counts is the ordinary number, in (0, 1).
        warm_up: Counts of a destination before its own quantile matters.
        warm_up_factor: How many times `least_connections` are too much until then, from 1.
        remembered: Latest quiet counts of a destination that are remembered. An attack that takes longer than their
            (1 - quantile_ratio) to build up is taken for ordinary.
        most_destinations: Destinations that are watched; the one not seen for longest is forgotten.
    """

    least_connections: int = 100
    slow_s: float = 10.0
    most_bytes_per_s: float = 100.0
    half_open_s: float = 10.0
    half_open_ratio: float = 0.5
    idle_s: float = 90.0
    look_s: float = 1.0
    factor: float = 2.0
    quantile_ratio: float = 0.9
    warm_up: int = 10
    warm_up_factor: float = 2.0
    remembered: int = 1800
    most_destinations: int = 10_000

    def __post_init__(self) -> None:
        """Refuse rules without a meaning.

        Raises:
            ConfigError: one is out of range.
        """
        lengths = (self.slow_s, self.half_open_s, self.most_bytes_per_s, self.look_s)
        if self.least_connections < 1 or min(lengths) <= 0 or self.idle_s <= max(self.slow_s, self.half_open_s):
            raise ConfigError(
                "least_connections is from 1, all rates and times above 0, and idle_s is the longest time"
            )
        if not 0 < self.quantile_ratio < 1 or not 0 < self.half_open_ratio <= 1:
            raise ConfigError("quantile_ratio is in (0, 1), half_open_ratio in (0, 1]")
        if self.factor < 1 or self.warm_up_factor < 1 or not 1 <= self.warm_up <= self.remembered:
            raise ConfigError("factor and warm_up_factor are from 1, warm_up from 1 to remembered")


class SlowDetector(Detector):
    """Raises an alarm when a port has many connections that do next to nothing, far above what is ordinary there.

    It watches connections with each window that it judges, and learns from quiet ones how many slow connections are
    ordinary: to a broker of sensors all are. Only a window in which some of them say something raises an alarm, so that
    what a rule has silenced raises none.

    Args:
        rules: When there are too many.
    """

    name: ClassVar[str] = "slow"

    def __init__(self, rules: SlowRules | None = None) -> None:
        self._rules = rules if rules is not None else SlowRules()
        self._table = ConnectionTable(idle_s=self._rules.idle_s)
        self._watched: dict[Address, _Watch] = {}

    def judge(self, window: Traffic) -> Verdict:
        """Return how many slow connections there are, against what is too much."""
        self._table.see(window, adopt=True)
        watch = self._watch(window)
        if window.ended_s - watch.looked_s >= self._rules.look_s:
            watch.crowd = self._look(window.destination, window.ended_s)
            watch.looked_s, watch.learned = window.ended_s, False
        crowd, threshold = watch.crowd, self._threshold(watch)
        score = len(crowd.connections) / threshold
        said = crowd.is_in(window)
        kind = "half-open" if crowd.half_open else "slow"
        names = "the window tells nothing of them" if not said else f"threshold {threshold:.0f}"
        alarm = score > 1.0 and said
        return Verdict(
            alarm=alarm,
            score=score if said else min(score, 1.0),
            reason=f"{len(crowd.connections)} {kind} connections to {window.destination} port {crowd.port}, {names}",
            evidence={"slow_connections": float(len(crowd.connections)), "threshold": threshold},
            kinds=(Kind.OPENING if crowd.half_open else Kind.CONNECTED,),
            suspects=crowd.slices(window) if alarm else (),
        )

    def learn(self, window: Traffic) -> None:
        """Take the number of slow connections as ordinary."""
        watch = self._watched.get(window.destination)
        if watch is not None and not watch.learned:
            watch.learned = True
            watch.add(len(watch.crowd.connections), self._rules.remembered)

    def _threshold(self, watch: _Watch) -> float:
        least = float(self._rules.least_connections)
        if len(watch.ordered) < self._rules.warm_up:
            return least * self._rules.warm_up_factor
        ordinary = watch.ordered[min(int(self._rules.quantile_ratio * len(watch.ordered)), len(watch.ordered) - 1)]
        return max(least, self._rules.factor * ordinary)

    def _look(self, destination: Address, now_s: float) -> _Crowd:
        """Return the port's crowd that is the largest."""
        slow: defaultdict[int, dict[Key, Connection]] = defaultdict(dict)
        half: defaultdict[int, dict[Key, Connection]] = defaultdict(dict)
        fresh: defaultdict[int, int] = defaultdict(int)
        others: defaultdict[int, int] = defaultdict(int)
        connections = self._table.of(destination)
        answered = {key[0] for key, found in connections.items() if found.flags & ACK}
        for key, found in connections.items():
            if found.flags == SYN:
                if key[0] not in answered:
                    age = int((now_s - found.first_s) / self._rules.half_open_s)
                    fresh[key[2]] += age == 0
                    if 1 <= age < _OLD:
                        half[key[2]][key] = found
                continue
            others[key[2]] += 1
            if not found.ended and self._is_slow(found):
                slow[key[2]][key] = found
        crowds = [_Crowd(port, those, half_open=False) for port, those in slow.items()]
        for port, those in half.items():
            goes_on = fresh[port] >= len(those) / (2 * (_OLD - 1))  # at half the rate of before, at least
            if goes_on and len(those) >= self._rules.half_open_ratio * (len(those) + others[port]):
                crowds.append(_Crowd(port, those, half_open=True))
        return max(crowds, key=lambda crowd: len(crowd.connections), default=_Crowd())

    def _is_slow(self, found: Connection) -> bool:
        span_s = found.last_s - found.first_s
        return span_s >= self._rules.slow_s and found.size_bytes <= self._rules.most_bytes_per_s * span_s

    def _watch(self, window: Traffic) -> _Watch:
        watch = self._watched.pop(window.destination, None)
        if watch is None:
            watch = _Watch()
            if len(self._watched) >= self._rules.most_destinations:
                self._watched.pop(next(iter(self._watched)))
        self._watched[window.destination] = watch  # the latest is last
        return watch


@dataclass(slots=True)
class _Crowd:
    """Slow connections to one port."""

    port: int = 0
    connections: dict[Key, Connection] = field(default_factory=dict)
    half_open: bool = False

    def is_in(self, window: Traffic) -> bool:
        """Return whether a window tells something of them."""
        if not self.connections:
            return False
        if self.half_open:  # forged ones say nothing a second time
            return any(item.opens_only and item.destination_port == self.port for item in window.slices)
        return any(item.protocol is TCP and key_of(item) in self.connections for item in window.slices)

    def slices(self, window: Traffic) -> tuple[Slice, ...]:
        """Return what they send in a window of this length, in the mean.

        Of those that were opened before anybody watched, it is not known that their sources are real.
        """
        make = type(window.destination)
        return tuple(
            Slice(
                source=make(key[0]),
                protocol=TCP,
                source_port=key[1],
                destination_port=key[2],
                flags=Flag(found.flags),
                length_bytes=round(found.size_bytes / found.packets),
                packets=found.packets * window.length_s / max(window.ended_s - found.first_s, window.length_s),
            )
            for key, found in self.connections.items()
            if self.half_open or found.flags & _HANDSHAKE == _HANDSHAKE
        )


@dataclass(slots=True)
class _Watch:
    """What is known of one destination: its largest crowd, when it was counted, and the quiet counts in order."""

    crowd: _Crowd = field(default_factory=_Crowd)
    looked_s: float = float("-inf")
    learned: bool = True
    arrived: deque[int] = field(default_factory=deque)
    ordered: list[int] = field(default_factory=list)

    def add(self, number: int, most: int) -> None:
        self.arrived.append(number)
        insort(self.ordered, number)
        if len(self.arrived) > most:
            self.ordered.remove(self.arrived.popleft())
