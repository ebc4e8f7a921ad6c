"""How many pods a revision should have: simple rules in the words of Knative's autoscaler."""

import math
from collections import deque
from dataclasses import dataclass, field

from support.knative_stand_in import names

DEFAULT_TARGET = 100.0
UTILIZATION_RATIO = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a revision's annotations say of its scale."""

    initial: int
    least: int
    most: int  # 0: no limit
    target: float
    window_s: float
    retention_s: float

    @classmethod
    def read(cls, annotations, *, container_concurrency, window_s):
        """Read annotations; ``window_s`` is the cluster's stable window."""
        hard = float(container_concurrency or 0)
        ratio = float(annotations.get(names.UTILIZATION, UTILIZATION_RATIO * 100)) / 100
        soft = float(annotations.get(names.TARGET, hard or DEFAULT_TARGET))
        return cls(
            initial=int(annotations.get(names.INITIAL_SCALE, 1)),
            least=int(annotations.get(names.MIN_SCALE, 0)),
            most=int(annotations.get(names.MAX_SCALE, 0)),
            target=max(0.01, min(soft, hard or soft) * ratio),
            window_s=names.seconds(annotations[names.WINDOW]) if names.WINDOW in annotations else window_s,
            retention_s=names.seconds(annotations.get(names.RETENTION, "0s")),
        )


@dataclass(slots=True)
class Scale:
    """What one revision wanted of late.

    The largest wish of a window counts, so that pods go only when none of them was needed for as long.
    """

    bounds: Bounds
    initialised: bool = False
    wishes: deque = field(default_factory=deque)

    def decide(self, concurrency, now_s, *, reachable):
        """Return the number of pods.

        Args:
            concurrency: Requests that run or wait.
            now_s: The time on any clock.
            reachable: Whether some route leads there.
        """
        bounds = self.bounds
        if not self.initialised:
            self.wishes.append((now_s, max(bounds.initial, bounds.least)))
            return self._bounded(max(bounds.initial, bounds.least, math.ceil(concurrency / bounds.target)))
        self.wishes.append((now_s, math.ceil(concurrency / bounds.target)))
        kept_s = bounds.window_s + bounds.retention_s
        while self.wishes[0][0] < now_s - kept_s:
            self.wishes.popleft()
        wanted = max(wish for _, wish in self.wishes)
        return self._bounded(max(wanted, bounds.least if reachable else 0))

    def _bounded(self, count):
        return min(count, self.bounds.most) if self.bounds.most else count
