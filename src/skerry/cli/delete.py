"""``skerry delete``."""

from __future__ import annotations

import click

from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.options import Command, complete_app, json_option
from skerry.cli.units import count
from skerry.errors import ConfigError, FunctionNotFoundError


@click.command(
    cls=Command,
    example="skerry delete news\nskerry delete digits --app\nskerry delete news --platform knative --namespace edge",
)
@click.argument("name", shell_complete=complete_app)
@click.option("--app", "is_app", is_flag=True, help="NAME is that of an app, also where a function has it too.")
@destination_options
@json_option
@click.pass_obj
def delete(console: Console, name: str, *, is_app: bool, destination: Destination) -> None:
    """Delete an app with all its functions.

    NAME is that of the app, or of the only function of one: functions of one app come and go together.
    """
    platform = destination.cluster_platform() or destination.engine()
    apps = {str(app["name"]): [str(function) for function in app["functions"]] for app in platform.apps()}
    app = _app(name, apps) if is_app else _meant(name, apps)
    platform.delete_app(app)
    if console.as_json:
        console.json({"app": app, "functions": apps[app]})
    else:
        console.message(f"deleted app {app}: {', '.join(apps[app])}")


def _app(name: str, apps: dict[str, list[str]]) -> str:
    if name not in apps:
        raise FunctionNotFoundError(f"no app {name!r}; there are: {', '.join(sorted(apps)) or 'none'}")
    return name


def _meant(name: str, apps: dict[str, list[str]]) -> str:
    """Return the app of this name, or that of the function of this name; never one where both are there."""
    owner = next((app for app, functions in apps.items() if name in functions), None)
    if name in apps:
        if owner not in (None, name):
            both = f"app {name!r} ({count(len(apps[name]), 'function')}) and a function of app {owner!r}"
            raise ConfigError(
                f"{name!r} is the name of {both}; nothing was deleted",
                hint=f"say which: `skerry delete {name} --app`, or `skerry delete {owner} --app` "
                f"({count(len(apps[owner]), 'function')})",
            )
        return name
    if owner is None:
        raise FunctionNotFoundError(f"no app and no function {name!r}; there are: {', '.join(sorted(apps)) or 'none'}")
    if len(apps[owner]) > 1:
        raise ConfigError(
            f"{name!r} is one of {len(apps[owner])} functions of app {owner!r}",
            hint=f"take it out of the app's source and deploy again, or run `skerry delete {owner}`",
        )
    return owner
