"""Which place an experiment runs on: the network that it asks for, or plain engines on this machine."""

from __future__ import annotations

from skerry.errors import ConfigError
from skerry.testbed.experiments.experiment import Experiment
from skerry.testbed.experiments.place import OneMachine, Place


def choose_place(experiment: Experiment, *, topology: str | None = None, without_links: bool = False) -> Place:
    """Return the place for a run, which is built when it is entered.

    Args:
        experiment: The experiment.
        topology: A file or a name, instead of the experiment's own.
        without_links: Plain engines on this machine.

    Raises:
        ConfigError: both are asked for.
    """
    if without_links and topology is not None:
        raise ConfigError("--topology and --without-links: give one of them")
    return OneMachine(experiment.sites, experiment.app)
