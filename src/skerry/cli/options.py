"""Options that several commands take, and the shape that all commands have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from skerry.cli.console import Console
from skerry.platforms.home import default_home

if TYPE_CHECKING:
    from skerry.platforms.engine.client import EnginePlatform

F = TypeVar("F", bound=Callable[..., Any])
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


class Command(click.Command):
    """A command whose help ends with an example.

    Args:
        example: One or more command lines.
    """

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is, one command per line."""
        _write_example(formatter, self.example)


class Group(click.Group):
    """A group of commands whose help ends with an example.

    Args:
        example: One or more command lines.
    """

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is, one command per line."""
        _write_example(formatter, self.example)


def _write_example(formatter: click.HelpFormatter, example: str) -> None:
    with formatter.section("Example"):
        for line in example.splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_object(Console).as_json = True  # type: ignore[union-attr]  # main gives every run its console


json_option = click.option(
    "--json",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_json,
    help="Write data and errors as JSON.",
)

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_home,
    show_default="$SKERRY_HOME or ~/.skerry",
    help="Folder of the engine.",
)


def connect(home: Path, *, patience_s: float = 5.0) -> EnginePlatform:
    """Return the client of the engine that owns a folder."""
    from skerry.platforms.engine.client import EnginePlatform

    return EnginePlatform.of_home(home.absolute(), patience_s=patience_s)


def _known(ctx: click.Context, ask: Callable[[EnginePlatform], Iterable[str]], incomplete: str) -> list[str]:
    """Return the names that an engine knows and that begin with what was typed; none when no engine answers."""
    from skerry.errors import SkerryError

    try:
        found = list(ask(connect(Path(ctx.params.get("home") or default_home()), patience_s=0)))
    except SkerryError:
        return []
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)]


def complete_function(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the deployed functions that begin with what was typed."""
    return _known(ctx, lambda engine: (str(function["name"]) for function in engine.functions()), incomplete)


def complete_app(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the deployed apps that begin with what was typed."""
    return _known(ctx, lambda engine: (str(app["name"]) for app in engine.apps()), incomplete)


def complete_job(*statuses: str) -> Completer:
    """Return what finds the newest jobs that begin with what was typed, and that have one of the statuses, if given."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        def ask(engine: EnginePlatform) -> Iterable[str]:
            return (job.id for job in engine.jobs() if not statuses or job.status in statuses)

        return _known(ctx, ask, incomplete)

    return complete


def complete_target(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to find the file of an app."""
    return [CompletionItem(incomplete, type="file")]
