"""The options of ``skerry experiment run`` that are about clusters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skerry.errors import ConfigError

if TYPE_CHECKING:
    from skerry.testbed.experiments import Experiment
    from skerry.testbed.experiments.cluster_place import ClusterChoice

F = TypeVar("F", bound=Callable[..., Any])
PLATFORMS = ("engine", "knative", "kubernetes")
_OPTIONS = (
    click.option(
        "--platform",
        type=click.Choice(PLATFORMS),
        default="engine",
        show_default=True,
        help="What the sites are: clusters are those that skerry.toml names like the experiment's sites.",
    ),
    click.option("--image", metavar="REFERENCE", help="Of clusters: an image that is there; none is built."),
    click.option("--insecure-registry", is_flag=True, help="Allow plain HTTP to registries of other machines."),
)


def cluster_options(command: F) -> F:
    """Give a command the options, as one parameter ``clusters``: a `ClusterChoice`, none for engines."""

    @functools.wraps(command)
    def collected(*args: Any, platform: str, image: str | None, insecure_registry: bool, **given: Any) -> Any:
        return command(*args, clusters=_choose(platform, image, insecure=insecure_registry), **given)

    wrapped: Any = collected
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click makes of a function stays callable like it


def _choose(platform: str, image: str | None, *, insecure: bool) -> ClusterChoice | None:
    if platform == "engine":
        if image is not None or insecure:
            raise click.UsageError("--image and --insecure-registry are about clusters: add --platform knative")
        return None
    from skerry.testbed.experiments.cluster_place import ClusterChoice

    return ClusterChoice(
        platform=platform,  # type: ignore[arg-type]  # one of PLATFORMS
        project=Path.cwd(),
        image=image,
        insecure=insecure,
    )


def choose_arms(experiment: Experiment, arms: Sequence[str], clusters: ClusterChoice | None) -> tuple[str, ...]:
    """Return the arms to run; empty for all.

    Raises:
        ConfigError: one was asked for that does not run on clusters.
    """
    if clusters is None or experiment.clusters is None:
        return tuple(arms)
    without = experiment.clusters.without
    for arm in arms:
        if arm in without:
            raise ConfigError(f"arm {arm!r} does not run on clusters: {without[arm]}")
    return tuple(arms) or tuple(arm.name for arm in experiment.arms if arm.name not in without)
