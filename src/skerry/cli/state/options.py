"""What the commands of ``skerry state`` have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skerry.cli.options import home_option

if TYPE_CHECKING:
    from skerry.store.state import State, StateStore

F = TypeVar("F", bound=Callable[..., Any])

state_argument = click.argument("state", metavar="APP/NAME")
key_argument = click.argument("key")


def place_options(command: F) -> F:
    """Add the options that say where states are kept."""
    store = click.option(
        "--store",
        metavar="URL",
        help="Where states are kept: a folder, or redis://HOST:PORT/DATABASE.",
        show_default="$SKERRY_STATE, [state] in skerry.toml, or the engine's folder",
    )
    return store(home_option(command))


def open_store(home: Path, store: str | None) -> StateStore:
    """Return the store that the options name.

    Raises:
        ConfigError: the address is none.
    """
    from skerry.app.states import FOLDER, url_of_folder
    from skerry.spec import STATE_VARIABLE
    from skerry.store.state import store_at

    return store_at(store or os.environ.get(STATE_VARIABLE) or url_of_folder(Path.cwd()) or home.absolute() / FOLDER)


def find_state(text: str, home: Path, store: str | None) -> State:
    """Return the state of a name, which has to be there.

    Raises:
        ConfigError: it is no name, or there is no such state.
    """
    from skerry.errors import ConfigError
    from skerry.store.state import State, check_group

    app, slash, name = text.partition("/")
    if not slash:
        raise ConfigError(f"{text!r} is no state: write APP/NAME", hint=f"skerry state list {text}")
    group = check_group(app, name)
    opened = open_store(home, store)
    there = opened.groups(app)
    if name not in there:
        raise ConfigError(
            f"there is no state {group} at {opened.url}; app {app!r} has there: {', '.join(there) or 'none'}",
            hint="a state begins to exist when something is put into it",
        )
    return State(lambda: opened, group)
