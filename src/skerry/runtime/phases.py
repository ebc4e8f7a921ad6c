"""The parts of a start: how long each took, and how much of it somebody waited for."""

from __future__ import annotations

import time


class Phases:
    """Splits the start of a process into named parts.

    Args:
        asked_at_s: Reading of the monotonic clock when the process was asked for, seconds.
    """

    def __init__(self, asked_at_s: float) -> None:
        self._spans: list[tuple[str, float, float]] = []
        self._last_s = asked_at_s

    def mark(self, phase: str, *, now_s: float | None = None) -> None:
        """Give the time since the last mark to a phase.

        Args:
            phase: Its name; one that was marked before is added to.
            now_s: Reading of the monotonic clock, seconds; the present by default.
        """
        now_s = time.monotonic() if now_s is None else now_s
        self._spans.append((phase, self._last_s, now_s))
        self._last_s = now_s

    def since(self, asked_at_s: float) -> dict[str, float]:
        """Return milliseconds by phase, of the time after ``asked_at_s`` only.

        A worker goes on with the phases of the template that it was forked from: those that were over when it was asked
        for cost it nothing, and of the one that ran it has waited for the rest.
        """
        found: dict[str, float] = {}
        for phase, begun_s, ended_s in self._spans:
            waited_s = max(0.0, ended_s - max(begun_s, asked_at_s))
            found[phase] = round(found.get(phase, 0.0) + waited_s * 1000, 3)
        return found
