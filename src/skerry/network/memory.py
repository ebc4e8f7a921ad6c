"""What the loop remembers of each destination: what is ordinary, who was there, what is done about an attack."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from skerry.network.actions import Action, Address, Match
from skerry.network.detection import Decision, Hitter, Kind, Ordinary, Reading, Slice, Traffic, make_traffic

REMEMBERED_WINDOWS = 100
REMEMBERED_SLICES = 10_000
REMEMBERED_SLICES_IN_ALL = 500_000
MOST_DESTINATIONS = 10_000
MOST_READINGS = 2000
# Windows directly before an alarm in which the attack may have begun: what they have is not ordinary. Some in any case,
# and more where each was nearly an alarm; what is ordinary scores up to 0.5.
ONSET_WINDOWS = 2
ONSET_SCORE = 0.6
MOST_ONSET_WINDOWS = 20
# What is ordinary is a rate in at most so many seconds, where less was seen: that of busy hours must not be next to
# nothing after a night.
LONGEST_QUIET_S = 60.0
# Seen over so many seconds, or in windows that do not follow each other, a source is more than a part of a burst.
LASTING_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """What comes through the rules in force, and is an attack by the measure by which it was found.

    Attributes:
        kinds: What it may be made of.
        reason: What the detector says of it.
        until_s: Until when that counts, on the loop's clock: without a later window nothing is known any more.
    """

    kinds: Collection[Kind]
    reason: str
    until_s: float


@dataclass(slots=True, kw_only=True)
class Mitigation:
    """An action that the loop has taken, while it is in force or waits for a person.

    Attributes:
        action: The action.
        decision: What it was decided on.
        renewed_s: When its time to live began to count; None until it was verified.
        readings: What it has dropped, by when; empty while it waits for a person.
        failure: What failed at the latest look at it; empty where nothing did.
    """

    action: Action
    decision: Decision
    renewed_s: float | None = None
    failure: str = ""
    readings: deque[Reading] = field(default_factory=lambda: deque(maxlen=MOST_READINGS))
    _hitter: Hitter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the rule ready to be tried on each window."""
        self._hitter = Hitter(self.action.match)

    def drops(self, item: Slice) -> bool:
        """Return whether it drops a slice's packets, while it is in force."""
        # An opened connection counts as hit when its first packet would be; here the packets count that are dropped.
        return self.action.match.flags in (None, item.flags) and self._hitter.ratio(item) > 0


class Sources:
    """The sources of a destination's latest windows; as numbers, which are looked up ten times as fast as addresses."""

    def __init__(self) -> None:
        self._windows: dict[int, int] = {}  # in how many each is
        self._make: type[Address] = IPv4Address

    def __contains__(self, source: object) -> bool:
        return isinstance(source, (IPv4Address, IPv6Address)) and int(source) in self._windows

    def __len__(self) -> int:
        return len(self._windows)

    def __iter__(self) -> Iterator[Address]:
        return map(self._make, self._windows)

    def add(self, window: Traffic) -> None:
        """Take the sources of a window."""
        self._make = type(window.destination)
        windows = self._windows
        for source in {int(item.source) for item in window.slices}:
            windows[source] = windows.get(source, 0) + 1

    def remove(self, window: Traffic) -> None:
        """Give up a window that was added."""
        windows = self._windows
        for source in {int(item.source) for item in window.slices}:
            if windows[source] == 1:
                del windows[source]
            else:
                windows[source] -= 1


@dataclass(slots=True)
class Destination:
    """One destination's memory.

    Attributes:
        quiet: The latest windows without an attack.
        slices: How many slices these have.
        quiet_until_s: When the latest of these ended, on the sensor's clock, or the first one of any destination began;
            None where what followed was not quiet.
        mitigations: What is done about attacks on it.
        relapses: How many times an attack has come back soon after its rule was withdrawn.
        ended_s: When the latest rule was withdrawn; None when there was none.
        said: The match that was refused, or only tried, so that it is not tried again with each window.
        passing: What comes through the rules in force and is still an attack; None where nothing is.
    """

    quiet: deque[Traffic] = field(default_factory=deque)
    slices: int = 0
    quiet_until_s: float | None = None
    mitigations: list[Mitigation] = field(default_factory=list)
    relapses: int = 0
    ended_s: float | None = None
    said: Match | None = None
    passing: Passing | None = None
    _spans_s: deque[float] = field(default_factory=deque)  # of the quiet windows, each with the quiet time before it
    _scores: deque[float] = field(default_factory=deque)  # of the quiet windows
    _sources: Sources = field(default_factory=Sources)  # of the quiet windows

    def remember(self, window: Traffic, score: float = 0.0) -> None:
        """Remember a quiet window, and forget the oldest where there are too many, or too much in them."""
        self.quiet.append(window)
        self._scores.append(score)
        self._spans_s.append(window.length_s + self._pause_s(window))
        self.quiet_until_s = window.ended_s
        self.slices += len(window.slices)
        self._sources.add(window)
        while len(self.quiet) > 1 and (len(self.quiet) > REMEMBERED_WINDOWS or self.slices > REMEMBERED_SLICES):
            self.forget_oldest()

    def forget_oldest(self) -> None:
        """Forget the oldest quiet window."""
        window = self.quiet.popleft()
        self._spans_s.popleft()
        self._scores.popleft()
        self.slices -= len(window.slices)
        self._sources.remove(window)

    def forget_onset(self, window: Traffic) -> None:
        """Forget the quiet windows directly before one with an alarm: the attack may have begun in them."""
        pause_s = self._pause_s(window)
        near_s = (ONSET_WINDOWS + 0.5) * window.length_s
        next_s = window.ended_s
        for number in range(MOST_ONSET_WINDOWS):
            if not self.quiet or next_s - self.quiet[-1].ended_s > near_s:
                break
            if number >= ONSET_WINDOWS and self._scores[-1] < ONSET_SCORE:
                break
            latest = self.quiet.pop()
            self._scores.pop()
            next_s = latest.ended_s
            self.slices -= len(latest.slices)
            self._sources.remove(latest)
            pause_s += self._spans_s.pop() - latest.length_s
        if self._spans_s:
            self._spans_s[-1] += pause_s
        self.quiet_until_s = None  # what follows is the attack's time

    def ordinary(self) -> Ordinary:
        """Return the traffic of the latest quiet windows, in the time that passed, also without any traffic."""
        slices = [item for window in self.quiet for item in window.slices]
        seen_s = sum(window.length_s for window in self.quiet)
        length_s = max(seen_s, min(sum(self._spans_s), LONGEST_QUIET_S))
        return Ordinary(slices=slices, length_s=length_s or 1.0, lasting=self._lasting())

    def known(self) -> Collection[Address]:
        """Return the sources of the latest quiet windows, as they are now and later."""
        return self._sources

    def is_answered(self, match: Match) -> bool:
        """Return whether there is an answer to an attack already: a rule, a refusal, or a person who is asked."""
        if match == self.said:
            return True
        return any(not item.readings or item.decision.match == match for item in self.mitigations)

    def left(self, window: Traffic) -> Traffic:
        """Return a window without what the rules in force drop. A sensor before the firewall sees those packets too."""
        in_force = [mitigation for mitigation in self.mitigations if mitigation.readings]
        if not in_force:
            return window
        slices = [item for item in window.slices if not any(mitigation.drops(item) for mitigation in in_force)]
        if len(slices) == len(window.slices):
            return window
        return make_traffic(
            window.destination,
            slices,
            ended_s=window.ended_s,
            length_s=window.length_s,
            known=self.known(),
            sampling=window.sampling,
        )

    def _pause_s(self, window: Traffic) -> float:
        """Return how long it was quiet before a window, without any traffic."""
        if self.quiet_until_s is None:
            return 0.0
        return min(max(0.0, window.ended_s - window.length_s - self.quiet_until_s), LONGEST_QUIET_S)

    def _lasting(self) -> Collection[Address]:
        """Return the sources that were there for longer than a burst is."""
        first: dict[int, Traffic] = {}
        lasting: set[int] = set()
        for window in self.quiet:
            for source in {int(item.source) for item in window.slices} - lasting:
                between_s = window.ended_s - first.setdefault(source, window).ended_s
                if between_s >= LASTING_S or between_s > 1.5 * window.length_s:
                    lasting.add(source)
        return {item.source for window in self.quiet for item in window.slices if int(item.source) in lasting}


class Memory:
    """The destinations; the one not seen for longest is forgotten when there are too many, unless it is defended.

    Args:
        most_slices: Slices of quiet windows, of all destinations together. Where there are more, windows of the
            destination not seen for longest are forgotten.
    """

    def __init__(self, most_slices: int = REMEMBERED_SLICES_IN_ALL) -> None:
        self._destinations: dict[Address, Destination] = {}
        self._most_slices = most_slices
        self._slices = 0
        self._began_s: float | None = None  # by the sensor's clock; before that nobody knows whether it was quiet

    def __iter__(self) -> Iterator[Destination]:
        return iter(list(self._destinations.values()))

    def of(self, address: Address) -> Destination:
        """Return a destination's memory."""
        found = self._destinations.pop(address, None) or Destination(quiet_until_s=self._began_s)
        self._destinations[address] = found  # the latest is last
        if len(self._destinations) > MOST_DESTINATIONS:
            oldest = next((key for key, item in self._destinations.items() if not item.mitigations), None)
            if oldest is not None:
                self._slices -= self._destinations.pop(oldest).slices
        return found

    def remember(self, window: Traffic, score: float = 0.0) -> None:
        """Remember a quiet window of its destination, with how near it was to an alarm."""
        if self._began_s is None:
            self._began_s = window.ended_s - window.length_s
        latest = self.of(window.destination)
        self._slices -= latest.slices
        latest.remember(window, score)
        self._slices += latest.slices
        for item in self._destinations.values():
            while self._slices > self._most_slices and item.quiet and item is not latest:
                self._slices -= len(item.quiet[0].slices)
                item.forget_oldest()
            if self._slices <= self._most_slices:
                break

    def forget_onset(self, window: Traffic) -> None:
        """Forget what was taken for quiet directly before a window with an alarm."""
        latest = self.of(window.destination)
        self._slices -= latest.slices
        latest.forget_onset(window)
        self._slices += latest.slices
