"""A declared experiment: what is compared, on which network, how often, and what is measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.errors import ConfigError
from skerry.testbed.experiments.measures import OF_EVERY_TRIAL, find_measure

if TYPE_CHECKING:
    from skerry.testbed.experiments.curves import Curves
    from skerry.testbed.experiments.place import Place, SiteAddress
    from skerry.testbed.experiments.results import Results

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of one arm, as the arm sees it.

    Args:
        arm: The arm's name.
        repeat: Its number, from 0. Arms of the same repeat are compared in pairs.
        seed: Of everything that the arm draws; the same for all arms of a repeat.
        sites: Where functions run, by name.
        options: The experiment's options.
        memory: What arms keep from one trial to the next, such as data that were read once.
        arms: Names of the arms that run, so that nothing is prepared for others.
        control: Asks the place to do something to itself; see :meth:`disturb`.
    """

    arm: str
    repeat: int
    seed: int
    sites: Mapping[str, SiteAddress]
    options: Mapping[str, str]
    memory: MutableMapping[str, Any]
    arms: Sequence[str] = ()
    control: Callable[[str, Mapping[str, Any]], Any] | None = None

    def disturb(self, what: str, **how: Any) -> Any:
        """Have the place do something to itself in mid-trial, such as cutting a link.

        Args:
            what: What the place knows to do, like ``"kill"``.
            how: To what, and how long.

        Raises:
            ConfigError: nobody listens, or the place cannot do that.
        """
        if self.control is None:
            raise ConfigError(f"{what}: this place takes no such orders; run the experiment on a topology")
        return self.control(what, how)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a trial measured.

    Args:
        values: By name of the measure.
        notes: What else is worth keeping, as JSON; not compared and not averaged.
        story: What happened, in plain words, for the report.
    """

    values: Mapping[str, float]
    notes: Mapping[str, Any] = field(default_factory=dict)
    story: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of the ways that are compared.

    Args:
        name: Lower-case letters, digits and -.
        title: What it does, for people.
        run: Does it once.
        most_repeats: The most repeats of an arm that takes long, none for as many as the others.
    """

    name: str
    title: str
    run: Callable[[Trial], Outcome]
    most_repeats: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Something that may be set for a run.

    Args:
        default: Its value when nobody sets it.
        title: What it does, for people.
        choices: The values it may have; empty for any.
    """

    default: str
    title: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnClusters:
    """How an experiment runs on clusters.

    Args:
        flags: Settings of the app's functions there, ``FUNCTION.OPTION=VALUE``; at least one for each function.
        function: One of them, by which the way there is measured.
        requirements: What an image needs beside Skerry, as pip writes it.
        without: Arms that only engines can run, and why.
    """

    flags: tuple[str, ...]
    function: str
    requirements: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is compared, where, how often, and what is measured.

    Args:
        name: Lower-case letters, digits and -.
        title: One line for people.
        question: What the experiment asks, in a few plain sentences; the report begins with it.
        arms: The ways that are compared, the baseline last.
        measures: Names of what the arms measure, the most important first.
        sites: Names of the sites that the arms use.
        app: What is deployed to every site, as ``package.module:app``.
        topology: Name of the network between the sites, none for no network at all.
        repeats: How often each arm runs unless told otherwise.
        options: What may be set for a run.
        quick: Options of the quick form, which runs in a minute.
        pairs: Arms whose trials are compared, as (arm, with which).
        curves: Makes pictures with lines of the results, for the report.
        conclude: Says in plain words what the results mean, for the top of the report.
        prepare: Called once in the client before the first trial.
        place: Makes the place of a run in a folder, for one that brings a network of its own along.
        boxes: Measures that the report shows as pictures, beside those that all experiments have there.
        clusters: How it runs on clusters; none where it needs what only engines and the testbed can do.
        extras: Of Skerry's, whose libraries it needs: ``("learn",)``.

    Raises:
        ConfigError: a name is not of its form or appears twice, or a measure is not known.
    """

    name: str
    title: str
    question: str
    arms: tuple[Arm, ...]
    measures: tuple[str, ...]
    sites: tuple[str, ...]
    app: str
    topology: str | None = None
    repeats: int = 20
    options: Mapping[str, Option] = field(default_factory=dict)
    quick: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[tuple[str, str], ...] = ()
    curves: Callable[[Results], Sequence[Curves]] | None = None
    conclude: Callable[[Results], Sequence[str]] | None = None
    prepare: Callable[[Trial], None] | None = None
    place: Callable[[Path], Place] | None = None
    boxes: tuple[str, ...] = ()
    clusters: OnClusters | None = None
    extras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        for name in (self.name, *names):
            if not _NAME.fullmatch(name):
                raise ConfigError(f"experiment {self.name!r}: name {name!r}: use lower-case letters, digits and -")
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"experiment {self.name!r}: arms: at least one, each with a name of its own")
        for measure in self.measures:
            find_measure(measure)
        strange = [name for pair in self.pairs for name in pair if name not in names]
        if strange:
            raise ConfigError(f"experiment {self.name!r}: pairs: there is no arm {strange[0]!r}")

    def arm(self, name: str) -> Arm:
        """Return an arm by its name.

        Raises:
            ConfigError: there is no such arm.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        known = ", ".join(arm.name for arm in self.arms)
        raise ConfigError(f"experiment {self.name!r}: there is no arm {name!r}; there are {known}")

    @property
    def all_measures(self) -> tuple[str, ...]:
        """The experiment's measures, and those of every trial."""
        return (*self.measures, *(name for name in OF_EVERY_TRIAL if name not in self.measures))

    def settle(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return every option with its value.

        Args:
            given: The values that somebody set.

        Raises:
            ConfigError: an unknown option, or a value that it may not have.
        """
        for name, value in given.items():
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise ConfigError(f"experiment {self.name!r}: there is no option {name!r}; there are: {known}")
            choices = self.options[name].choices
            if choices and value not in choices:
                raise ConfigError(f"experiment {self.name!r}: {name} = {value!r}: choose from {', '.join(choices)}")
        return {name: given.get(name, option.default) for name, option in self.options.items()}
