"""The results of a run, as read from its folder: trials, where they ran, and the numbers of each arm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skerry.errors import DataError
from skerry.testbed.experiments.estimates import spread
from skerry.testbed.experiments.measures import find_measure
from skerry.testbed.experiments.records import read_lines, write_whole

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a run is: fixed when it begins.

    Args:
        experiment: Name of the experiment.
        target: Where it is declared, as ``package.module:name`` or a file.
        title: Its title.
        question: What it asks.
        arms: Titles by name, in the order in which they are shown.
        measures: Names of the measures, the most important first.
        pairs: Arms that are compared.
        options: Every option with its value.
        seed: Of the order and of the trials.
        place: Where the sites are, by name: a topology, or ``one machine``.
        begun: When the run was begun.
    """

    experiment: str
    target: str
    title: str
    question: str
    arms: Mapping[str, str]
    measures: Sequence[str]
    pairs: Sequence[Sequence[str]]
    options: Mapping[str, str]
    seed: int
    place: str
    begun: str

    def save(self, folder: Path) -> None:
        """Write the manifest into a folder."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        write_whole(folder / MANIFEST, json.dumps({"format": FORMAT, **values}, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Return the manifest of a folder.

        Raises:
            DataError: there is none, or it is of another format.
        """
        path = folder / MANIFEST
        try:
            values = json.loads(path.read_text())
            if values.pop("format") != FORMAT:
                raise DataError(f"{path}: not of format {FORMAT}; it was written by another version of Skerry")
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{folder} holds no run of an experiment ({error})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One finished trial.

    Args:
        arm: The arm's name.
        repeat: Its number, from 0.
        seed: Its seed.
        session: The number of the session that it ran in, from 0.
        values: What was measured, by name of the measure.
        notes: What else was kept.
        story: What happened, in plain words.
        error: Why there are no values, none where there are.
    """

    arm: str
    repeat: int
    seed: int
    session: int
    values: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    story: Sequence[str] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A run, read.

    Args:
        manifest: What it is.
        sessions: What each session said about itself: ``environment``, ``place``, ``repeats``, ``files``.
        trials: The trials that ended well, one per arm and repeat.
        failures: The trials that failed and were not made good later.
    """

    manifest: Manifest
    sessions: Sequence[Mapping[str, Any]]
    trials: Sequence[TrialRecord]
    failures: Sequence[TrialRecord]

    @property
    def environment(self) -> Mapping[str, Any]:
        """Where the last session ran."""
        return dict(self.sessions[-1].get("environment", {})) if self.sessions else {}

    def arm_names(self) -> list[str]:
        """Return the arms that have results, in the order in which they were declared."""
        seen = {trial.arm for trial in self.trials}
        return [name for name in self.manifest.arms if name in seen]

    def by_repeat(self, arm: str, measure: str) -> dict[int, float]:
        """Return the values of one measure of an arm by the number of the repeat."""
        return {
            trial.repeat: trial.values[measure] for trial in self.trials if trial.arm == arm and measure in trial.values
        }

    def values(self, arm: str, measure: str) -> list[float]:
        """Return the values of one measure of an arm, in the order of the repeats."""
        found = self.by_repeat(arm, measure)
        return [found[repeat] for repeat in sorted(found)]

    def median(self, arm: str, measure: str) -> float | None:
        """Return the median of one measure of an arm, none without a value."""
        values = self.values(arm, measure)
        return spread(values).median if values else None

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints, the same for every experiment."""
        arms: dict[str, dict[str, Any]] = {}
        for arm in self.arm_names():
            arms[arm] = {}
            for measure in self.manifest.measures:
                values = self.values(arm, measure)
                if values:
                    found = spread(values)
                    arms[arm][measure] = {
                        "median": found.median,
                        "p25": found.p25,
                        "p75": found.p75,
                        "values": values,
                        "unit": find_measure(measure).unit,
                    }
        environment = {
            **self.environment,
            "place": self.manifest.place,
            "network": self.sessions[-1].get("place", {}) if self.sessions else {},
            "options": dict(self.manifest.options),
            "seed": self.manifest.seed,
            "sessions": len(self.sessions),
            "failed_trials": len(self.failures),
        }
        return {"experiment": self.manifest.experiment, "environment": environment, "arms": arms}


def read_results(folder: Path) -> Results:
    """Read the results of a run, which may be running or interrupted.

    Raises:
        DataError: the folder holds no run.
    """
    return gather(Manifest.load(folder), read_lines(folder))


def gather(manifest: Manifest, lines: Sequence[Mapping[str, Any]]) -> Results:
    """Return the results that lines of a run make; of two trials of one arm and repeat, the good or the later one.

    Raises:
        DataError: a line is of no known kind.
    """
    sessions: list[Mapping[str, Any]] = []
    found: dict[tuple[str, int], TrialRecord] = {}
    for number, line in enumerate(lines, start=1):
        values = {key: value for key, value in line.items() if key != "kind"}
        if line.get("kind") == "session":
            sessions.append(values)
            continue
        try:
            trial = TrialRecord(**values)
        except TypeError as error:
            raise DataError(f"line {number} of the results: {error}") from error
        key = trial.arm, trial.repeat
        if key not in found or found[key].error is not None:
            found[key] = trial
    order = sorted(found.values(), key=lambda trial: trial.repeat)
    return Results(
        manifest=manifest,
        sessions=sessions,
        trials=[trial for trial in order if trial.error is None],
        failures=[trial for trial in order if trial.error is not None],
    )
