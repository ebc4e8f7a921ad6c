"""``skerry state put | delete``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.options import Command, json_option
from skerry.cli.state.options import find_state, key_argument, open_store, place_options, state_argument


@click.command(
    cls=Command, example="skerry state put news/counts total 0\nskerry state put news/flags slow true --ttl 60"
)
@state_argument
@key_argument
@click.argument("value", metavar="JSON")
@click.option(
    "--ttl", "ttl_s", type=Duration(min=0, min_open=True), help="After how long the key ends; without, never."
)
@place_options
@json_option
@click.pass_obj
def put(console: Console, state: str, key: str, value: str, ttl_s: float | None, home: Path, store: str | None) -> None:
    """Write a value in place of whatever a key holds; the state is made when there is none."""
    from skerry.errors import ConfigError, MalformedBodyError
    from skerry.payload import JSON, decode
    from skerry.store.state import State, check_group

    try:
        content = decode(value.encode(), JSON)
    except MalformedBodyError as error:
        raise ConfigError(f"{value[:60]!r} is not JSON", hint="write text in quotes, like '\"some text\"'") from error
    group = check_group(*(*state.split("/", 1), "")[:2])
    opened = open_store(home, store)
    version = State(lambda: opened, group).put(key, content, ttl_s=ttl_s)
    if console.as_json:
        console.json({"key": key, "version": version})
    else:
        console.message(f"{group}: {key} is of version {version}")


@click.command(cls=Command, example="skerry state delete news/counts total")
@state_argument
@key_argument
@place_options
@json_option
@click.pass_obj
def delete(console: Console, state: str, key: str, home: Path, store: str | None) -> None:
    """Remove a key, whatever it holds."""
    there = find_state(state, home, store).delete(key)
    if console.as_json:
        console.json({"key": key, "deleted": there})
    else:
        console.message(f"{state}: {key} is deleted" if there else f"{state} had no key {key!r}")
