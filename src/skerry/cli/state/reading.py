"""``skerry state list | get | watch``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.options import Command, json_option
from skerry.cli.state.options import find_state, key_argument, open_store, place_options, state_argument
from skerry.cli.units import duration

if TYPE_CHECKING:
    from skerry.store.state import State


@click.command("list", cls=Command, example="skerry state list news\nskerry state list news/counts user/ --json")
@click.argument("state", metavar="APP[/NAME]")
@click.argument("prefix", default="")
@place_options
@json_option
@click.pass_obj
def list_keys(console: Console, state: str, prefix: str, home: Path, store: str | None) -> None:
    """List the states of an app, or the keys of one, those that begin with PREFIX."""
    if "/" not in state:
        names = open_store(home, store).groups(state)
        if console.as_json:
            console.json(names)
        else:
            for name in names:
                console.data(f"{state}/{name}")
            if not names:
                console.message(f"app {state!r} has no states here; a function makes one with app.state(NAME)")
        return
    keys = list(find_state(state, home, store).list(prefix))
    if console.as_json:
        console.json([asdict(info) for info in keys])
        return
    ends = [("never" if info.ends_in_s is None else f"in {duration(info.ends_in_s)}") for info in keys]
    rows = [[info.key, str(info.kind), str(info.version), end] for info, end in zip(keys, ends, strict=True)]
    console.table(["KEY", "KIND", "VERSION", "ENDS"], rows)


@click.command(cls=Command, example="skerry state get news/counts total")
@state_argument
@key_argument
@place_options
@json_option
@click.pass_obj
def get(console: Console, state: str, key: str, home: Path, store: str | None) -> None:
    """Write what a key holds as JSON: its value, or the elements of a list or a set.

    What JSON has no form for is written as text: bytes as base64, NaN and keys as Python writes them.
    """
    from skerry.cli.state.showing import shown
    from skerry.errors import ObjectNotFoundError
    from skerry.payload import JSON

    found = find_state(state, home, store)
    kind = next((info.kind for info in found.list(key) if info.key == key), None)
    if kind is None:
        raise ObjectNotFoundError(f"state {state} has no key {key!r}", hint=f"skerry state list {state}", key=key)
    text, is_exact = shown(_read(found, key, kind))
    console.body(JSON, text)
    if not is_exact:
        console.message("not all of it has a form in JSON: bytes are shown as base64, NaN and keys as text")


@click.command(cls=Command, example="skerry state watch news/counts\nskerry state watch news/counts user/ --for 10")
@state_argument
@click.argument("prefix", default="")
@click.option("--for", "wait_s", type=Duration(min=0), help="End after so long; without, never.")
@place_options
@json_option
@click.pass_obj
def watch(console: Console, state: str, prefix: str, wait_s: float | None, home: Path, store: str | None) -> None:
    """Write a line for each change of a key that begins with PREFIX, as it happens; version 0 is its end."""
    import json

    for change in find_state(state, home, store).watch(prefix, wait_s=wait_s):
        console.data(json.dumps(asdict(change)) if console.as_json else f"{change.version}\t{change.key}")


def _read(state: State, key: str, kind: str) -> Any:
    if kind == "value":
        return state.get(key)
    return state.items(key) if kind == "list" else state.members(key)
