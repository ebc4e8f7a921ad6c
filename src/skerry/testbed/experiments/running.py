"""A run of an experiment: trials in their order, each on record before the next one begins."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from skerry.errors import ConfigError, DataError
from skerry.testbed.experiments.client_process import ClientProcess
from skerry.testbed.experiments.environment import describe_environment, describe_files
from skerry.testbed.experiments.experiment import Experiment
from skerry.testbed.experiments.extras import require_extras
from skerry.testbed.experiments.place import Place
from skerry.testbed.experiments.records import Records
from skerry.testbed.experiments.results import MANIFEST, Manifest, Results, TrialRecord, gather
from skerry.testbed.experiments.schedule import Slot, plan_trials
from skerry.testbed.experiments.usage import trees_cpu_s

CLIENT_LOG = "client.log"
MOST_FAILURES = 5  # in a row: something is broken that no further trial mends


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands.

    Args:
        done: Trials that have ended, those of earlier sessions included.
        total: All trials.
        last: The trial that has just ended, none at the beginning.
        next: The trial that comes next, none at the end.
    """

    done: int
    total: int
    last: TrialRecord | None
    next: Slot | None


Watch = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an experiment is run.

    Args:
        repeats: How often each arm runs.
        seed: Of the order and of the trials.
        options: Options that somebody set.
        arms: Names of the arms to run; empty for all.
        watch: Called before the first trial and after each.
    """

    repeats: int
    seed: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    arms: Sequence[str] = ()
    watch: Watch = lambda _: None


def run_experiment(
    experiment: Experiment,
    target: str,
    folder: Path,
    place: AbstractContextManager[Place],
    settings: Settings,
    *,
    place_name: str,
) -> Results:
    """Run what is missing of an experiment in a folder, and return all results.

    A run that was interrupted goes on where it was: finished trials stay, the one that was cut off runs again, and so
    do those that failed.

    Args:
        experiment: The experiment.
        target: Where it is declared; the client loads it from there.
        folder: Where the run is, or will be.
        place: Where it runs; entered only when there is something to run.
        settings: How often, and the rest.
        place_name: The place's name, for the manifest.

    Raises:
        ConfigError: the folder holds another run, an option or arm is unknown, or a library is not installed.
        PlatformError: the place or the client failed.
    """
    require_extras(experiment)
    wanted = [experiment.arm(name).name for name in settings.arms] or [arm.name for arm in experiment.arms]
    manifest = _open(experiment, target, folder, settings, place_name)
    with Records(folder) as records:
        most = {arm.name: arm.most_repeats for arm in experiment.arms if arm.most_repeats is not None}
        slots = plan_trials(wanted, settings.repeats, seed=manifest.seed, most=most)
        done = {(trial.arm, trial.repeat) for trial in gather(manifest, records.lines).trials}
        missing = [slot for slot in slots if slot.key not in done]
        if missing:
            with place as entered:
                _Session(experiment, manifest, folder, entered, records, settings).run(missing, len(slots))
        return gather(manifest, records.lines)


def _open(experiment: Experiment, target: str, folder: Path, settings: Settings, place_name: str) -> Manifest:
    """Return the manifest of the run in a folder, a new one where there is none."""
    new = Manifest(
        experiment=experiment.name,
        target=target,
        title=experiment.title,
        question=experiment.question,
        arms={arm.name: arm.title for arm in experiment.arms},
        measures=experiment.all_measures,
        pairs=experiment.pairs,
        options=experiment.settle(settings.options),
        seed=settings.seed,
        place=place_name,
        begun=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    )
    if not (folder / MANIFEST).exists():
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty, and holds no run of an experiment; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        new.save(folder)
        return new
    old = Manifest.load(folder)
    for name in ("experiment", "options", "seed", "place"):
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            raise ConfigError(
                f"{folder} holds a run with {name} = {before!r}, and {now!r} was asked for; choose another folder"
            )
    return old


class _Session:
    """One uninterrupted part of a run."""

    def __init__(
        self,
        experiment: Experiment,
        manifest: Manifest,
        folder: Path,
        place: Place,
        records: Records,
        settings: Settings,
    ) -> None:
        self._experiment = experiment
        self._manifest = manifest
        self._folder = folder
        self._place = place
        self._records = records
        self._settings = settings
        self._number = sum(line.get("kind") == "session" for line in records.lines)

    def run(self, missing: Sequence[Slot], total: int) -> None:
        """Run trials in their order."""
        self._records.add(
            {
                "kind": "session",
                "environment": describe_environment(),
                "place": self._place.describe(),
                "repeats": self._settings.repeats,
                "files": describe_files((self._manifest.target, self._experiment.app)),
            }
        )
        with ClientProcess(
            self._place,
            self._manifest.target,
            options=self._manifest.options,
            arms=sorted({slot.arm for slot in missing}),
            log=self._folder / CLIENT_LOG,
        ) as client:
            failures = 0
            done = total - len(missing)
            self._settings.watch(Progress(done=done, total=total, last=None, next=missing[0]))
            for number, slot in enumerate(missing, start=1):
                trial = self._run_trial(client, slot)
                self._records.add({"kind": "trial", **_plain(trial)})
                following = missing[number] if number < len(missing) else None
                self._settings.watch(Progress(done=done + number, total=total, last=trial, next=following))
                failures = failures + 1 if trial.error is not None else 0
                if failures == MOST_FAILURES:
                    raise DataError(
                        f"{failures} trials in a row have failed, the last one with: {trial.error}; "
                        f"see {self._folder / CLIENT_LOG}"
                    )

    def _run_trial(self, client: ClientProcess, slot: Slot) -> TrialRecord:
        load = os.getloadavg()[0]
        roots = [*self._place.roots(), client.pid]
        wire, cpu, wall = self._place.wire_bytes(), trees_cpu_s(roots), time.perf_counter()
        answer = client.run(slot)
        values: dict[str, float] = {
            "wall_s": time.perf_counter() - wall,
            "cpu_s": trees_cpu_s(roots) - cpu,
            "load_average": load,
        }
        carried = self._place.wire_bytes()
        if carried is not None and wire is not None:
            values["wire_bytes"] = carried - wire
        values |= answer.get("values", {})
        return TrialRecord(
            arm=slot.arm,
            repeat=slot.repeat,
            seed=slot.seed,
            session=self._number,
            values=values,
            notes={"load_average_after": os.getloadavg()[0], **answer.get("notes", {})},
            story=answer.get("story", ()),
            error=answer.get("error"),
        )


def _plain(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial as plain values, without what is empty."""
    return {name: value for name, value in asdict(trial).items() if value not in (None, {}, (), [])}
