"""``skerry deploy`` on a cluster: its options, and what it says."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from skerry.cli.clusters import CLUSTER_COLUMNS, cluster_row
from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.models.traffic import RATIO_HELP, read_ratio
from skerry.spec import SET_VARIABLE

if TYPE_CHECKING:
    from skerry.app.clusters import ClusterPlace
    from skerry.app.deploying import DeployPlan
    from skerry.app.target import Target

F = TypeVar("F", bound=Callable[..., Any])

CLUSTER_ONLY = ("image", "registry", "insecure_registry", "weight", "force", "dry_run", "target_folder", "wait")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDeployment:
    """What a person asked of a deployment on a cluster; see the options."""

    image: str | None
    registry: str | None
    insecure_registry: bool
    weight: str | None
    force: bool
    dry_run: bool
    target_folder: Path | None
    wait: float


OPTIONS = (
    click.option("--image", metavar="REFERENCE", help="An image that a registry has already; none is built."),
    click.option("--registry", metavar="HOST[:PORT][/PATH]", help="Where the image is pushed."),
    click.option("--insecure-registry", is_flag=True, help="Allow plain HTTP to registries of other machines."),
    click.option("--weight", metavar="SHARE", help=f"Share of the requests that new revisions get, {RATIO_HELP}."),
    click.option("--force", is_flag=True, help="Take over fields of the app's objects that others have set."),
    click.option("--dry-run", is_flag=True, help="Print the objects as YAML; build and change nothing."),
    click.option(
        "--target",
        "target_folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="Write the objects to this folder, for GitOps, instead of applying them.",
    ),
    click.option("--wait", type=Duration(min=1), default="600s", show_default=True, help="Time to be ready within."),
)


def cluster_deploy_options(command: F) -> F:
    """Give a command the options of a deployment on a cluster, as one parameter ``asked``."""

    @functools.wraps(command)
    def collected(*args: Any, **given: Any) -> Any:
        asked = ClusterDeployment(**{key: given.pop(key) for key in CLUSTER_ONLY})
        return command(*args, asked=asked, **given)

    wrapped: Any = collected
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click makes of a function stays callable like it


def deploy_on_cluster(
    console: Console, target: Target, settings: Sequence[str], asked: ClusterDeployment, place: ClusterPlace
) -> None:
    """Deploy an app on a cluster and say what was deployed; or show or write its objects."""
    from skerry.app.deploying import DeployPlan, deploy_app

    weight_ratio = None if asked.weight is None else read_ratio(asked.weight, "--weight")
    plan = DeployPlan(
        target=target,
        place=place,
        image=asked.image,
        registry=asked.registry,
        insecure=asked.insecure_registry,
        flags=settings,
        environment=os.environ.get(SET_VARIABLE, ""),
        weight_ratio=weight_ratio,
        force=asked.force,
        deadline_s=asked.wait,
        tell=console.message,
    )
    if asked.dry_run or asked.target_folder is not None:
        _show(console, plan, asked)
        return
    from skerry.app.clusters import open_cluster

    deployed = deploy_app(plan, open_cluster(place))
    if console.as_json:
        console.json(deployed)
        return
    state = "deployed" if deployed["changed"] else "unchanged:"
    console.message(f"{state} app {deployed['app']} from {deployed['image']}")
    for reference in deployed["removed"]:
        console.message(f"removed {reference}")
    console.table(CLUSTER_COLUMNS, [cluster_row(function) for function in deployed["functions"]])


def _show(console: Console, plan: DeployPlan, asked: ClusterDeployment) -> None:
    """Print the objects of an app, or write them to a folder."""
    from skerry.app.deploying import render_app, write_manifests
    from skerry.platforms.kubernetes.manifests import to_yaml

    rendered = render_app(plan, build=not asked.dry_run)
    if asked.target_folder is not None and not asked.dry_run:
        files = write_manifests(rendered, asked.target_folder)
        if console.as_json:
            console.json({"app": rendered.app, "image": rendered.image, "files": [str(file) for file in files]})
        else:
            console.message(f"wrote {len(files)} files to {asked.target_folder}; kubectl apply -k takes them")
        return
    if plan.image is None:
        console.message(f"{rendered.image} stands for the image, which is not built here; name one with --image")
    if console.as_json:
        console.json(list(rendered.objects))
    else:
        console.data(to_yaml(rendered.objects).rstrip("\n"))


def refuse_moot(*parameters: str, because: str) -> None:
    """Raise a usage error when a person has set parameters that mean nothing here.

    Args:
        *parameters: Their names.
        because: Why they mean nothing.
    """
    moot = [f"--{option_name(name)}" for name in parameters if is_given(name)]
    if moot:
        raise click.UsageError(f"{' and '.join(moot)} cannot be used here: {because}")


def option_name(parameter: str) -> str:
    """Return what a person writes for a parameter."""
    return "target" if parameter == "target_folder" else parameter.replace("_", "-")


def is_given(parameter: str) -> bool:
    """Whether a person has set a parameter of this command, rather than its default."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source not in (None, ParameterSource.DEFAULT)
