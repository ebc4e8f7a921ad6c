"""``skerry traffic``, ``skerry promote`` and ``skerry rollback``: which revision gets a function's requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.models.traffic import RATIO_HELP, read_ratio
from skerry.cli.options import Command, complete_function, json_option
from skerry.cli.units import moment
from skerry.errors import ConfigError, FunctionNotFoundError

if TYPE_CHECKING:
    from skerry.platforms.engine.client import EnginePlatform
    from skerry.platforms.kubernetes.operating import OperatedPlatform

T = TypeVar("T")


@click.command(
    cls=Command,
    example="skerry traffic greet --platform knative\n"
    "skerry traffic greet --platform knative --candidate greet-00002 --weight 10%\n"
    "skerry traffic greet --platform knative --end",
)
@click.argument("name", shell_complete=complete_function)
@click.option("--candidate", metavar="REVISION", help="Try this revision beside the one that serves.")
@click.option("--weight", metavar="SHARE", help=f"The candidate's share of the requests, {RATIO_HELP}.")
@click.option("--end", is_flag=True, help="End the trial: the revision that serves gets all requests.")
@destination_options
@json_option
@click.pass_obj
def traffic(
    console: Console, name: str, candidate: str | None, weight: str | None, *, end: bool, destination: Destination
) -> None:
    """Show which revision gets a function's requests, or try a candidate on some of them.

    For the versions of a model on an engine, see skerry models traffic.
    """
    platform = _cluster(destination, "skerry models traffic")
    plan: dict[str, Any] | None = None
    if end:
        if candidate or weight:
            raise click.UsageError("--end goes with no other option: it ends the trial")
        plan = {}
    elif candidate is not None or weight is not None:
        candidate = candidate or platform.traffic(name)["candidate"]
        if candidate is None:
            raise click.UsageError("which revision is to be tried? add --candidate REVISION")
        ratio = 0.0 if weight is None else read_ratio(weight, "--weight")
        plan = {"candidate": candidate, "weight_ratio": ratio}
    _show(console, platform.traffic(name) if plan is None else platform.split_traffic(name, plan))


@click.command(cls=Command, example="skerry promote greet --platform knative")
@click.argument("name", shell_complete=complete_function)
@destination_options
@json_option
@click.pass_obj
def promote(console: Console, name: str, destination: Destination) -> None:
    """Have the revision that is being tried serve a function from now on."""
    found = _cluster(destination, "skerry models promote").promote(name)
    _say(console, found, f"{name}: revision {found['promoted']} serves from now on")


@click.command(
    cls=Command,
    example="skerry rollback greet\nskerry rollback greet --list\nskerry rollback greet --to 3\n"
    "skerry rollback greet --platform knative",
)
@click.argument("name", shell_complete=complete_function)
@click.option("--list", "is_list", is_flag=True, help="Show what there is to go back to, and change nothing.")
@click.option("--to", type=click.IntRange(min=1), metavar="NUMBER", help="Go back to this one of the list.")
@destination_options
@json_option
@click.pass_obj
def rollback(console: Console, name: str, *, is_list: bool, to: int | None, destination: Destination) -> None:
    """Have what was deployed before serve a function again; once more goes further back.

    On a cluster, the revision before the present one serves, until the next deployment. On an engine, whose functions
    are deployed together, the whole app is deployed as it was before its latest deployment: source, options and
    requirements, as further revisions; --to passes over those in between, and does nothing where that one serves
    already. There, NAME may be that of the app, too. Versions of models have a rollback of their own: skerry models
    rollback.
    """
    if is_list and to is not None:
        raise click.UsageError("--list changes nothing: leave --to away, or --list")
    platform = destination.cluster_platform()
    if platform is not None:
        if is_list or to is not None:
            raise ConfigError(
                "--list and --to are of engines; on a cluster, revisions are chosen by name",
                hint=f"skerry traffic {name} --candidate REVISION, then skerry promote {name}",
            )
        found = platform.roll_back(name)
        _say(console, found, f"{name}: {found['replaced']} -> {found['serving']}")
        return
    engine = destination.engine()
    if is_list:
        _list(console, _of_function(engine, name, engine.deployments))
        return
    found = _of_function(engine, name, lambda function: engine.roll_back(function, to=to))
    if console.as_json:
        console.json(found)
        return
    for one in found["functions"]:
        console.message(f"{one['function']}: {one['replaced'] or 'not there'} -> {one['serving'] or 'removed'}")
    if not found["functions"]:
        console.message("no function runs otherwise than before")
    console.message(
        f"app {found['app']} is what was deployed at {moment(found['deployed_at'])} (deployment {found['number']})"
    )


def _of_function(engine: EnginePlatform, name: str, ask: Callable[[str], T]) -> T:
    """Ask about a function; of what is the name of no function but of an app, about one of the app's."""
    try:
        return ask(name)
    except FunctionNotFoundError:
        functions = [str(one) for app in engine.apps() if app["name"] == name for one in app["functions"]]
        if not functions or name in functions:
            raise
        return ask(functions[0])


def _list(console: Console, kept: Sequence[Mapping[str, Any]]) -> None:
    if console.as_json:
        console.json(kept)
        return
    rows = [
        [
            str(one["number"]),
            moment(one["deployed_at"]),
            "serving" if one["is_serving"] else "",
            ", ".join(one["functions"]),
        ]
        for one in kept
    ]
    console.table(["NUMBER", "DEPLOYED", "STATE", "FUNCTIONS"], rows)


def _cluster(destination: Destination, on_engine: str) -> OperatedPlatform:
    platform = destination.cluster_platform()
    if platform is None:
        raise ConfigError(
            "an engine serves one revision of a function at a time",
            hint=f"for versions of a model: {on_engine}; for revisions on a cluster: add --platform knative; "
            "to go back here: skerry rollback",
        )
    return platform


def _say(console: Console, found: Mapping[str, Any], text: str) -> None:
    if console.as_json:
        console.json(found)
    else:
        console.message(text)


def _show(console: Console, found: Mapping[str, Any]) -> None:
    if console.as_json:
        console.json(found)
        return
    roles = {found["candidate"]: "candidate", found["serving"]: "serving"}
    rows = [
        [
            one["name"],
            f"{one['weight_ratio']:.0%}",
            roles.get(one["name"], ""),
            "ready" if one["ready"] else one["reason"] or "starting",
        ]
        for one in found["revisions"]
    ]
    console.table(["REVISION", "SHARE", "ROLE", "STATE"], rows)
