"""Which place an experiment runs on: the network that it asks for, relays for it, or plain engines on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from skerry.errors import ConfigError
from skerry.testbed.experiments.cluster_place import ClusterChoice, ClustersPlace
from skerry.testbed.experiments.experiment import Experiment
from skerry.testbed.experiments.place import OneMachine, Place

TESTBED_FOLDER = "testbed"
RELAYS_FOLDER = "relays"


def choose_place(
    experiment: Experiment,
    folder: Path,
    *,
    topology: str | None = None,
    without_links: bool = False,
    relays: bool = False,
    self_test: bool = True,
    clusters: ClusterChoice | None = None,
) -> Place:
    """Return the place for a run, which is built when it is entered.

    Args:
        experiment: The experiment.
        folder: The run's folder; a testbed's files are in it.
        topology: A file or a name, instead of the experiment's own.
        without_links: Plain engines on this machine.
        relays: Plain engines, and relays that stand for the links to them: approximate, and without root.
        self_test: Whether every link is measured before anything runs over it.
        clusters: Which clusters it runs on, instead of engines.

    Raises:
        ConfigError: two of them are asked for, there is no network that relays could stand for, or this is not root.
        SpecError: the topology is not one.
    """
    if without_links and topology is not None:
        raise ConfigError("--topology and --without-links: give one of them")
    if relays:
        return _relay_place(
            experiment, folder, topology, self_test=self_test, other=without_links or clusters is not None
        )
    if clusters is not None:
        if without_links or topology is not None:
            raise ConfigError(
                f"--platform {clusters.platform} runs on the network that the clusters have: --topology and "
                "--without-links are for engines"
            )
        return ClustersPlace(experiment, folder, clusters)
    if experiment.place is not None:
        if without_links or topology is not None:
            raise ConfigError(
                f"{experiment.name} brings a network of its own along: --topology and --without-links are not for it"
            )
        return experiment.place(folder)
    wanted = topology or experiment.topology
    if without_links or wanted is None:
        return OneMachine(experiment.sites, experiment.app)
    if os.geteuid() != 0:
        raise ConfigError(
            f"the network {wanted!r} needs root, for namespaces and links",
            hint="run it in a root shell (sudo -s); or give --relays for a network that is approximate, or "
            "--without-links: then nothing is said about the network",
        )
    from skerry.testbed.experiments.testbed_place import TestbedPlace
    from skerry.testbed.links import QUICK
    from skerry.testbed.topology import read_topology

    return TestbedPlace(
        read_topology(wanted),
        folder / TESTBED_FOLDER,
        experiment.sites,
        experiment.app,
        self_test=QUICK if self_test else None,
    )


def _relay_place(experiment: Experiment, folder: Path, topology: str | None, *, self_test: bool, other: bool) -> Place:
    """Return plain engines behind relays that stand for a network."""
    from skerry.testbed.experiments.relay_place import RelayPlace
    from skerry.testbed.links import QUICK
    from skerry.testbed.topology import read_topology

    wanted = topology or experiment.topology
    if other or experiment.place is not None or wanted is None:
        why = "no --without-links and no --platform" if other else "a network of links, which it does not have"
        raise ConfigError(f"{experiment.name}: --relays stand for links; they need {why}")
    return RelayPlace(
        read_topology(wanted),
        folder / RELAYS_FOLDER,
        experiment.sites,
        experiment.app,
        self_test=QUICK if self_test else None,
    )
