"""One interface for everything that says whether a window is an attack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from skerry.network.detection.kind import FLOODS, Kind
from skerry.network.detection.traffic import Slice, Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a detector thinks of one window.

    Attributes:
        alarm: Whether it is an attack.
        score: How far from ordinary it is: 1 is where alarms begin.
        reason: Why, in a sentence with numbers.
        evidence: The numbers.
        kinds: What the attack may be made of.
        suspects: Its packets, where the detector can tell them from the rest; a decision is about these alone.
    """

    alarm: bool
    score: float
    reason: str
    evidence: Mapping[str, float] = field(default_factory=dict)
    kinds: tuple[Kind, ...] = FLOODS
    suspects: Sequence[Slice] = ()


class Detector(ABC):
    """Says whether a window is an attack. It learns only from windows that it is given to learn from."""

    name: ClassVar[str]

    @abstractmethod
    def judge(self, window: Traffic) -> Verdict:
        """Return what it thinks of a window. It may watch what goes on, but takes nothing for ordinary."""

    @abstractmethod
    def learn(self, window: Traffic) -> None:
        """Take a window as ordinary. Callers leave out what was an attack, and what an action changes."""


class Panel(Detector):
    """Several detectors as one.

    Args:
        detectors: Who is asked.
        least_votes: How many have to raise an alarm.
    """

    name: ClassVar[str] = "panel"

    def __init__(self, detectors: Sequence[Detector], *, least_votes: int = 1) -> None:
        self._detectors = detectors
        self._least_votes = least_votes

    def judge(self, window: Traffic) -> Verdict:
        """Return the verdict of those who raise an alarm, or the one with the highest score."""
        verdicts = [detector.judge(window) for detector in self._detectors]
        alarms = [verdict for verdict in verdicts if verdict.alarm]
        alarm = len(alarms) >= self._least_votes
        strongest = max(alarms if alarm else verdicts, key=lambda verdict: verdict.score)
        score = strongest.score if alarm else min(strongest.score, 1.0)
        reason = "; ".join(verdict.reason for verdict in (alarms if alarm else [strongest]))
        return replace(strongest, alarm=alarm, score=score, reason=reason)

    def learn(self, window: Traffic) -> None:
        """Let every one of them learn."""
        for detector in self._detectors:
            detector.learn(window)
