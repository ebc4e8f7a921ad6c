"""The ``skerry`` command: finds what was asked for, and turns failure into a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

import skerry
from skerry.cli.console import Console
from skerry.cli.entry import INTERRUPTED
from skerry.cli.options import LazyGroup
from skerry.errors import ConfigError, PlatformError, SkerryError, exit_code

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "create": "skerry.cli.create:create",
        "run": "skerry.cli.run:run",
        "build": "skerry.cli.build:build",
        "deploy": "skerry.cli.deploy:deploy",
        "invoke": "skerry.cli.invoke:invoke",
        "load": "skerry.cli.load.command:load",
        "list": "skerry.cli.listing:list_functions",
        "describe": "skerry.cli.describe:describe",
        "logs": "skerry.cli.logs:logs",
        "traffic": "skerry.cli.traffic:traffic",
        "promote": "skerry.cli.traffic:promote",
        "rollback": "skerry.cli.traffic:rollback",
        "delete": "skerry.cli.delete:delete",
        "jobs": "skerry.cli.jobs:jobs",
        "events": "skerry.cli.events:events",
        "chains": "skerry.cli.chains:chains",
        "models": "skerry.cli.models:models",
        "state": "skerry.cli.state:state",
        "experiment": "skerry.cli.experiment:experiment",
        "federate": "skerry.cli.federate:federate",
        "network": "skerry.cli.network:network",
        "usage": "skerry.cli.usage:usage",
        "engine": "skerry.cli.engine:engine",
        "testbed": "skerry.cli.testbed:testbed",
        "sites": "skerry.cli.sites:sites",
        "doctor": "skerry.cli.doctor:doctor",
        "completion": "skerry.cli.completion:completion",
        "version": "skerry.cli.version:version",
    }
)

# What other tools call it.
OTHER_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "call": "invoke",
        "env": "doctor",
        "environment": "doctor",
        "get": "describe",
        "init": "create",
        "ls": "list",
        "new": "create",
        "ps": "list",
        "remove": "delete",
        "rm": "delete",
        "serve": "run",
        "start": "engine start",
        "status": "engine status",
        "stop": "engine stop",
        "undeploy": "delete",
        "up": "deploy",
    }
)


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    other_words=OTHER_WORDS,
    example="skerry create hello && cd hello\nskerry deploy app.py\nskerry invoke greet --data '\"Ada\"'",
    context_settings={"auto_envvar_prefix": "SKERRY", "help_option_names": ["-h", "--help"]},
)
@click.version_option(skerry.__version__, prog_name="skerry", message="%(prog)s %(version)s")
def cli() -> None:
    """Typed Python functions as serverless functions, on this machine.

    Every option can also be set by a variable: SKERRY_RUN_PORT for run --port. Exit codes: 0 done, 1 failed, 2 wrong
    use or wrong configuration, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The words after ``skerry``; those of this process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_output()
    console = Console(as_json="--json" in words)
    try:
        result = cli.main(words, prog_name="skerry", standalone_mode=False, obj=console)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except click.exceptions.Exit as stopped:
        return stopped.exit_code
    except (click.ClickException, SkerryError, OSError) as error:
        return _explain(console, error)
    return result if isinstance(result, int) else 0


def _explain(console: Console, error: click.ClickException | SkerryError | OSError) -> int:
    if isinstance(error, SkerryError):
        console.error(error)
        return exit_code(error)
    if isinstance(error, click.UsageError):
        _say_usage(console, error)
        return 2
    if isinstance(error, click.ClickException):
        console.error(ConfigError(error.format_message()))
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader of our output has left; writing at exit would only complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    console.error(PlatformError(f"{error.filename or 'the system'}: {error.strerror or error}"))
    return 1


def _open_closed_output() -> None:
    """Let what is written to an output that the shell has closed (``>&-``) go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # open until the process ends


def _say_usage(console: Console, error: click.UsageError) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # a group by itself: its help is the message
        console.message(error.format_message())
        return
    command = error.ctx.command_path if error.ctx is not None else "skerry"
    console.error(ConfigError(error.format_message(), hint=f"see {command} --help"))
