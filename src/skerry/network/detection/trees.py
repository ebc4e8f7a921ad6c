"""An online model: half-space trees, which learn from each window and forget. Needs the extra ``river``."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from skerry.errors import ConfigError
from skerry.network.detection.detector import Detector, Verdict
from skerry.network.detection.traffic import FEATURES, Traffic

# Logarithms of rates are divided by that of the largest one that a link has, so that each feature lies in [0, 1].
LARGEST = 1e9


class TreesDetector(Detector):
    """Raises an alarm for windows that lie where few windows lay before.

    It says that a window is unusual, which a crowd is as well: ask it in a panel, with two votes.

    Args:
        threshold_ratio: Score of the trees, in (0, 1), from which on there is an alarm.
        window_count: Windows after which the trees begin to use what they have learned.
        trees: Number of trees.
        seed: What their random numbers begin from.

    Raises:
        ConfigError: the extra is not installed, or the threshold is out of range.

    Source: S. C. Tan, K. M. Ting, T. F. Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011; as river has it.
    """

    name: ClassVar[str] = "trees"

    def __init__(
        self, *, threshold_ratio: float = 0.95, window_count: int = 100, trees: int = 25, seed: int = 0
    ) -> None:
        if not 0 < threshold_ratio < 1:
            raise ConfigError(f"threshold_ratio is in (0, 1), not {threshold_ratio:g}")
        self._threshold_ratio = threshold_ratio
        self._window_count = window_count
        self._learned = 0
        self._model = _make_model(trees=trees, window_count=window_count, seed=seed)

    def judge(self, window: Traffic) -> Verdict:
        """Return how unusual a window is."""
        ratio = self._model.score_one(_scale(window)) if self._learned >= self._window_count else 0.0
        reason = f"the window is more unusual than {self._threshold_ratio:.2f}: {ratio:.3f}"
        if self._learned < self._window_count:
            reason = f"the trees have learned from {self._learned} of {self._window_count} windows"
        return Verdict(
            alarm=ratio > self._threshold_ratio,
            score=ratio / self._threshold_ratio,
            reason=reason,
            evidence={"unusual_ratio": ratio},
        )

    def learn(self, window: Traffic) -> None:
        """Take a window as ordinary."""
        self._model.learn_one(_scale(window))
        self._learned += 1


def _make_model(*, trees: int, window_count: int, seed: int) -> Any:
    try:
        from river.anomaly import HalfSpaceTrees
    except ImportError as error:
        raise ConfigError('half-space trees need river: pip install "skerry[river]"') from error
    return HalfSpaceTrees(n_trees=trees, height=8, window_size=window_count, seed=seed)


def _scale(window: Traffic) -> dict[str, float]:
    top = math.log1p(LARGEST)
    return {
        name: value if name.endswith("_ratio") else min(math.log1p(value) / top, 1.0)
        for name, value in ((name, window.features[name]) for name in FEATURES)
    }
