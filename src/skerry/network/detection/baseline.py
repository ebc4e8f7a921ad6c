"""Thresholds that are learned: how much of something is ordinary for a destination."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

from skerry.errors import ConfigError
from skerry.network.actions import Address
from skerry.network.detection.detector import Detector, Verdict
from skerry.network.detection.kind import FLOODS, Kind
from skerry.network.detection.traffic import FEATURES, Traffic

# What a flood is made of, and below how much per second nothing is called a flood, whatever is ordinary.
FLOORS = MappingProxyType({"opening_per_s": 300.0, "datagrams_per_s": 2000.0, "other_per_s": 500.0})

# Before an alarm, windows above so much of the threshold are forgotten, some at most; what is ordinary is below half.
NEARLY = 0.6
MOST_ONSET = 20

_KINDS = {
    "opening_per_s": (Kind.OPENING,),
    "datagrams_per_s": (Kind.DATAGRAMS, Kind.FRAGMENTS),
    "other_per_s": (Kind.OTHER, Kind.FRAGMENTS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRules:
    """When a rate is too high.

    Attributes:
        floors: By feature, what a rate has to be above in any case.
        quantile_ratio: Which quantile of the ordinary windows is compared with, in (0, 1).
        factor: How many times that quantile, plus as many times its distance from the median, is too much; from 1.
        held_back: Latest windows of a destination that do not count yet, and are forgotten with an alarm: an attack may
            have begun in them.
        warm_up: Windows of a destination before its own quantiles count.
        warm_up_factor: How many floors are too much until then, from 1.
        remembered: Latest ordinary windows of a destination that are remembered.
        most_destinations: Destinations that are remembered; the one not seen for longest is forgotten.
        least_opening_ratio: The least `opening_ratio` of a flood. A crowd of clients that are answered has less.
    """

    floors: Mapping[str, float] = field(default_factory=lambda: dict(FLOORS))
    quantile_ratio: float = 0.99
    factor: float = 2.0
    held_back: int = 2
    warm_up: int = 20
    warm_up_factor: float = 3.0
    remembered: int = 600
    most_destinations: int = 10_000
    least_opening_ratio: float = 0.5

    def __post_init__(self) -> None:
        """Refuse rules without a meaning.

        Raises:
            ConfigError: one is out of range, or a floor is of an unknown feature.
        """
        unknown = sorted(set(self.floors) - set(FEATURES))
        if unknown:
            raise ConfigError(f"there is no feature {unknown[0]!r}; there are: {', '.join(FEATURES)}")
        if not 0 < self.quantile_ratio < 1 or self.factor < 1 or self.warm_up_factor < 1:
            raise ConfigError("quantile_ratio is in (0, 1); factor and warm_up_factor are from 1")
        if self.warm_up < 1 or self.remembered < self.warm_up or self.most_destinations < 1:
            raise ConfigError("warm_up and most_destinations are from 1, and remembered is from warm_up")
        if not 0 <= self.held_back < self.remembered:
            raise ConfigError("held_back is from 0 and below remembered")


class BaselineDetector(Detector):
    """Raises an alarm when a rate is far above what is ordinary for its destination.

    Quantiles are robust: a window that was taken for ordinary by mistake moves them by one place.

    Args:
        rules: When a rate is too high.
    """

    name: ClassVar[str] = "baseline"

    def __init__(self, rules: BaselineRules | None = None) -> None:
        self._rules = rules if rules is not None else BaselineRules()
        self._histories: dict[Address, _History] = {}

    def judge(self, window: Traffic) -> Verdict:
        """Return how far above its threshold the highest rate is."""
        scores = {name: window.features[name] / self.threshold(window.destination, name) for name in self._rules.floors}
        worst = max(scores, key=lambda name: scores[name])
        score = scores[worst]
        value, threshold = window.features[worst], self.threshold(window.destination, worst)
        reason = f"{worst} {value:.0f} to {window.destination}, threshold {threshold:.0f}"
        if worst == "opening_per_s" and window.features["opening_ratio"] < self._rules.least_opening_ratio:
            score = min(score, 1.0)
            reason += f"; but most sources are answered (opening_ratio {window.features['opening_ratio']:.2f})"
        history = self._histories.get(window.destination)
        if score > 1.0 and history is not None:
            history.forget_onset(worst, NEARLY * threshold)
        evidence = {worst: value, "threshold": threshold}
        kinds = _KINDS.get(worst, FLOODS)
        return Verdict(alarm=score > 1.0, score=score, reason=reason, evidence=evidence, kinds=kinds)

    def learn(self, window: Traffic) -> None:
        """Take a window's rates as ordinary."""
        history = self._histories.pop(window.destination, None)
        if history is None:
            history = _History(self._rules.remembered, tuple(self._rules.floors), self._rules.held_back)
            if len(self._histories) >= self._rules.most_destinations:
                self._histories.pop(next(iter(self._histories)))
        self._histories[window.destination] = history  # the latest is last
        history.add(window.features)

    def threshold(self, destination: Address, feature: str) -> float:
        """Return above which rate there is an alarm for a destination."""
        floor = self._rules.floors[feature]
        history = self._histories.get(destination)
        if history is None or not history.counts or len(history) < self._rules.warm_up:
            return floor * self._rules.warm_up_factor
        middle, high = history.quantile(feature, 0.5), history.quantile(feature, self._rules.quantile_ratio)
        return max(floor, self._rules.factor * (high + high - middle))


class _History:
    """The latest ordinary windows of one destination, with each rate's values kept in order."""

    def __init__(self, length: int, names: tuple[str, ...], held_back: int) -> None:
        self._length = length
        self._most_held_back = held_back
        self._held_back: deque[tuple[float, ...]] = deque()
        self._arrived: deque[tuple[float, ...]] = deque()
        self._ordered: dict[str, list[float]] = {name: [] for name in names}

    def __len__(self) -> int:
        return len(self._arrived) + len(self._held_back)

    @property
    def counts(self) -> bool:
        """Whether there is a window that counts."""
        return bool(self._arrived)

    def add(self, features: Mapping[str, float]) -> None:
        self._held_back.append(tuple(features[name] for name in self._ordered))
        if len(self._held_back) > self._most_held_back:
            self._count(self._held_back.popleft())

    def forget_onset(self, name: str, nearly: float) -> None:
        """Forget the windows in which an attack may have begun: the latest, and those before that were nearly one."""
        self._held_back.clear()
        place = list(self._ordered).index(name)
        for _ in range(MOST_ONSET):
            if not self._arrived or self._arrived[-1][place] < nearly:
                break
            self._remove(self._arrived.pop())

    def _count(self, values: tuple[float, ...]) -> None:
        self._arrived.append(values)
        for ordered, value in zip(self._ordered.values(), values, strict=True):
            insort(ordered, value)
        if len(self) > self._length:
            self._remove(self._arrived.popleft())

    def _remove(self, values: tuple[float, ...]) -> None:
        for ordered, value in zip(self._ordered.values(), values, strict=True):
            ordered.remove(value)

    def quantile(self, name: str, ratio: float) -> float:
        ordered = self._ordered[name]
        return ordered[min(int(ratio * len(ordered)), len(ordered) - 1)]
