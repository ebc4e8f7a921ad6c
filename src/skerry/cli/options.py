"""Options that several commands take, and the shape that all commands have."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from skerry.cli.console import Console
from skerry.errors import ConfigError
from skerry.platforms.home import default_home

if TYPE_CHECKING:
    from skerry.platforms.engine.client import EnginePlatform

F = TypeVar("F", bound=Callable[..., Any])
Completer = Callable[[click.Context, click.Parameter, str], list[str]]
# Longer than what any command does.
SENTENCE = 400


class _Shape(click.Command):
    """What commands and groups have in common: an example below the help, and a hint to it when they are misused.

    Args:
        example: One or more command lines.
    """

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is, one command per line."""
        _write_example(formatter, self.example)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words, and have a complaint about them name this command."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class Command(_Shape):
    """A command whose help ends with an example."""


class Group(_Shape, click.Group):
    """A group of commands whose help ends with an example.

    Args:
        other_words: For what is no command but may be taken for one, the command that is meant.
    """

    def __init__(self, *args: Any, other_words: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.other_words = other_words or {}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does in full, however many lines it takes."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(SENTENCE)) for name, command in commands if command])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names, or say which one may have been meant."""
        word = args[0]
        if self.get_command(ctx, word) is None and not ctx.resilient_parsing and not word.startswith("-"):
            raise click.UsageError(f"there is no command `{ctx.command_path} {word}`; {self._advice(ctx, word)}", ctx)
        return super().resolve_command(ctx, args)

    def _advice(self, ctx: click.Context, word: str) -> str:
        from difflib import get_close_matches

        names = self.list_commands(ctx)
        meant = [self.other_words[word]] if word in self.other_words else get_close_matches(word, names, n=1)
        if meant:
            return f"did you mean `{ctx.command_path} {meant[0]}`?"
        return f"there are: {', '.join(names)}"


class LazyGroup(Group):
    """A group that imports a command only when it is asked for.

    Args:
        where: For each command, by name and in the order in which a person meets them, ``package.module:attribute``.
    """

    def __init__(self, *args: Any, where: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.where = where

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a person meets them."""
        return list(self.where)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name."""
        if cmd_name not in self.where:
            return None
        module, _, name = self.where[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


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


site_option = click.option(
    "--site",
    metavar="NAME",
    shell_complete=lambda *asked: complete_site(*asked),
    help="A site that skerry.toml names, instead of the engine on this machine.",
)


def connect(home: Path, *, site: str | None = None, patience_s: float = 5.0) -> EnginePlatform:
    """Return the client of the engine that owns a folder, or of a site's.

    Raises:
        ConfigError: no such site is named, or its token is not there.
    """
    if site is not None:
        from skerry.app.places import find_site
        from skerry.platforms.engine.site import SitePlatform

        found = find_site(site, folders=[Path.cwd()])
        if found.is_cluster:
            raise ConfigError(f"site {site!r} is a cluster, and only an engine can do this")
        return SitePlatform(found, patience_s=patience_s)
    from skerry.platforms.engine.client import EnginePlatform

    return EnginePlatform.of_home(home.absolute(), patience_s=patience_s)


def complete_site(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the sites of the current folder's project that begin with what was typed."""
    from skerry.app.places import known_sites
    from skerry.errors import SkerryError

    try:
        return [name for name in known_sites(Path.cwd()) if name.startswith(incomplete)]
    except SkerryError:
        return []


def _known(ctx: click.Context, ask: Callable[[EnginePlatform], Iterable[str]], incomplete: str) -> list[str]:
    """Return the names that an engine knows and that begin with what was typed; none when no engine answers.

    A cluster is not asked: it may take longer than a person waits for a word.
    """
    from skerry.errors import SkerryError

    if ctx.params.get("platform") not in (None, "engine"):
        return []
    try:
        home = Path(ctx.params.get("home") or default_home())
        found = list(ask(connect(home, site=ctx.params.get("site"), patience_s=0)))
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
