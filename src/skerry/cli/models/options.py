"""What the commands of models have in common: the store, the name of a model, and how sizes are written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skerry.cli.options import connect, home_option
from skerry.errors import SkerryError
from skerry.platforms.home import default_home
from skerry.spec import ModelReference

if TYPE_CHECKING:
    from skerry.store.models import ModelRepository

NUDGE_S = 1.0  # a small model serves when the command ends; for a large one nobody waits

F = TypeVar("F", bound=Callable[..., Any])


def store_options(command: F) -> F:
    """Give a command the options that say where the models are: `home` and `store`."""
    store_option = click.option(
        "--store",
        metavar="URL",
        help="Where the models are: a folder, or s3://BUCKET/PREFIX.",
        show_default="$SKERRY_MODELS or the engine's folder",
    )
    return store_option(home_option(command))


def open_repository(home: Path, store: str | None) -> ModelRepository:
    """Return the models of the store that is meant."""
    from skerry.store.models import ModelRepository, models_url
    from skerry.store.objects import open_store

    return ModelRepository(open_store(store or models_url(home / "models")))


def open_for_publishing(home: Path, store: str | None) -> ModelRepository:
    """Return the models of the store that is meant, which may be the first thing in the engine's folder."""
    from skerry.store.models import publishing_url

    return open_repository(home, store or publishing_url(home))


def nudge_engine(home: Path) -> None:
    """Tell an engine, where one runs, that an alias has moved; it would look by itself, but a moment later.

    The move is in the store already, so whatever goes wrong here takes nothing from it, and nobody is told.
    """
    with contextlib.suppress(SkerryError):
        connect(home, patience_s=0).follow_aliases(timeout_s=NUDGE_S)


def complete_reference(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the models, and after @ their aliases and versions, that begin with what was typed."""
    name, at, which = incomplete.partition("@")
    try:
        repository = open_repository(Path(ctx.params.get("home") or default_home()), ctx.params.get("store"))
        if not at:
            return [known for known in repository.names() if known.startswith(name)]
        known = [*repository.aliases(name), *map(str, repository.versions(name))]
    except SkerryError:
        return []
    return [f"{name}@{word}" for word in known if word.startswith(which)]


def _parse(_: click.Context, __: click.Parameter, text: str) -> ModelReference:
    return ModelReference.parse(text)


reference_argument = click.argument(
    "reference", metavar="NAME[@ALIAS|@VERSION]", callback=_parse, shell_complete=complete_reference
)


def aliases_of(aliases: dict[str, int], version: int) -> str:
    """Return the aliases that point at a version, as a cell of a table."""
    return ", ".join(alias for alias, pointed in aliases.items() if pointed == version) or "-"
