"""``skerry delete``."""

from __future__ import annotations

import click

from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.options import Command, complete_app, json_option
from skerry.errors import ConfigError, FunctionNotFoundError


@click.command(cls=Command, example="skerry delete news\nskerry delete news --platform knative --namespace edge")
@click.argument("name", shell_complete=complete_app)
@destination_options
@json_option
@click.pass_obj
def delete(console: Console, name: str, destination: Destination) -> None:
    """Delete an app with all its functions.

    NAME is that of the app, or of the only function of one: functions of one app come and go together.
    """
    platform = destination.cluster_platform() or destination.engine()
    apps = {str(app["name"]): [str(function) for function in app["functions"]] for app in platform.apps()}
    app = name if name in apps else _owner(name, apps)
    platform.delete_app(app)
    if console.as_json:
        console.json({"app": app, "functions": apps[app]})
    else:
        console.message(f"deleted app {app}: {', '.join(apps[app])}")


def _owner(function: str, apps: dict[str, list[str]]) -> str:
    for app, functions in apps.items():
        if function in functions:
            if len(functions) > 1:
                raise ConfigError(
                    f"{function!r} is one of {len(functions)} functions of app {app!r}",
                    hint=f"take it out of the app's source and deploy again, or run `skerry delete {app}`",
                )
            return app
    raise FunctionNotFoundError(f"no app and no function {function!r}; there are: {', '.join(sorted(apps)) or 'none'}")
