"""How conditions change over time: a list of steps, written down or read from a trace."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from skerry.errors import SpecError
from skerry.testbed.links.conditions import Conditions

TIME_COLUMN = "at_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Conditions that hold from a moment on.

    Args:
        at_s: Seconds after the schedule began.
        changes: What differs from the link's own conditions, until the next step.
    """

    at_s: float
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How one direction changes over time.

    Args:
        base: The conditions before the first step, and those that steps change.
        steps: In ascending order of time; each says what differs from the base, not from the step before.
        repeat_s: Length after which the schedule begins again; None: the last step stays.

    Raises:
        SpecError: steps are out of order, or change something that is no condition.
    """

    base: Conditions
    steps: tuple[Step, ...]
    repeat_s: float | None = None

    def __post_init__(self) -> None:
        for step in self.steps:
            if not isinstance(step.at_s, int | float) or isinstance(step.at_s, bool) or step.at_s < 0:
                raise SpecError(f"a step is at {step.at_s!r}; it must be a number of seconds, at least 0")
            self._conditions_of(step)
        for earlier, later in pairwise(self.steps):
            if later.at_s <= earlier.at_s:
                raise SpecError(f"the step at {later.at_s:g} s does not come after the one at {earlier.at_s:g} s")
        if self.repeat_s is not None and self.steps and self.repeat_s <= self.steps[-1].at_s:
            raise SpecError(
                f"repeat_s is {self.repeat_s:g}; it must be after the last step ({self.steps[-1].at_s:g} s)"
            )

    def at(self, elapsed_s: float) -> Conditions:
        """Return the conditions at a moment after the schedule began."""
        if self.repeat_s is not None:
            elapsed_s %= self.repeat_s
        current = self.base
        for step in self.steps:
            if step.at_s > elapsed_s:
                break
            current = self._conditions_of(step)
        return current

    def next_change_s(self, elapsed_s: float) -> float | None:
        """Return when the conditions change next, in seconds after the schedule began; None when never."""
        if not self.steps:
            return None
        rounds = 0.0
        if self.repeat_s is not None:
            rounds = elapsed_s // self.repeat_s * self.repeat_s
        for step in self.steps:
            if step.at_s + rounds > elapsed_s:
                return step.at_s + rounds
        return None if self.repeat_s is None else rounds + self.repeat_s

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as plain data, without its base."""
        return {
            "steps": [{TIME_COLUMN: step.at_s, **step.changes} for step in self.steps],
            "repeat_s": self.repeat_s,
        }

    @classmethod
    def from_rows(cls, base: Conditions, rows: Sequence[Mapping[str, Any]], repeat_s: float | None = None) -> Schedule:
        """Return a schedule from plain data: one table per step, with ``at_s`` and what changes.

        Raises:
            SpecError: a row has no time, steps are out of order, or change something that is no condition.
        """
        steps = []
        for row in rows:
            if TIME_COLUMN not in row:
                raise SpecError(f"a step has no {TIME_COLUMN}: {dict(row)}")
            steps.append(Step(at_s=row[TIME_COLUMN], changes={k: v for k, v in row.items() if k != TIME_COLUMN}))
        return cls(base=base, steps=tuple(steps), repeat_s=repeat_s)

    def _conditions_of(self, step: Step) -> Conditions:
        try:
            return self.base.changed(**step.changes)
        except SpecError as error:
            raise SpecError(f"the step at {step.at_s:g} s: {error.message}") from error


def read_trace(path: Path) -> list[dict[str, Any]]:
    """Return the steps that a CSV file holds: a column ``at_s`` in seconds, and one per condition that changes.

    Args:
        path: The file; its first line names the columns, and an empty field leaves the condition as the link has it.

    Raises:
        SpecError: the file cannot be read, or a field is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"cannot read the trace {path}: {error}") from error
    if not rows or TIME_COLUMN not in rows[0]:
        raise SpecError(f"the trace {path} has no rows with a column {TIME_COLUMN}")
    return [
        {column: _number(path, line, column, text) for column, text in row.items() if text}
        for line, row in enumerate(rows, start=2)
    ]


def _number(path: Path, line: int, column: str | None, text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise SpecError(f"the trace {path}, line {line}: {column} is {text!r}, not a number") from None
