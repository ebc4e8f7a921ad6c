"""``skerry events``: what comes to the broker, and what becomes of it."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, Group, connect, home_option, json_option
from skerry.cli.units import count, moment
from skerry.errors import ConfigError

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
WIDEST = 160  # characters of an error in a table: with the id under which the log has the reason
MOST = 10_000  # that an engine lists

trigger_option = click.option("--trigger", metavar="NAME", help="Only this trigger, as `skerry events status` has it.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, MOST), default=20, show_default=True, help="Most of them to list."
)
number_argument = click.argument("number", metavar="NUMBER", type=click.IntRange(min=1))


@click.group(cls=Group, example="skerry events publish door.opened --data '{\"door\": 3}'\nskerry events list")
def events() -> None:
    """Publish events, and look after those that the broker keeps."""


@events.command(
    cls=Command,
    example="skerry events publish door.opened --data '{\"door\": 3}' --key door-3\n"
    "skerry events publish --file events.json",
)
@click.argument("type", required=False)
@click.option("--source", default="/skerry/cli", show_default=True, help="Who says so, a URI reference.")
@click.option("--id", "id_", help="Unique for the source; a random one by default.")
@click.option("--subject", help="What it is about.")
@click.option("--key", help="The attribute partitionkey: events of one key stay in order.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=TEXT", help="Further attributes.")
@click.option("--data", help="JSON.")
@click.option("--file", "file", help="Whole events instead: one JSON object or an array of them; - is standard input.")
@home_option
@json_option
@click.pass_obj
def publish(  # noqa: PLR0913  # one parameter per option of the command
    console: Console,
    *,
    type: str | None,
    source: str,
    id_: str | None,
    subject: str | None,
    key: str | None,
    attributes: Sequence[str],
    data: str | None,
    file: str | None,
    home: Path,
) -> None:
    """Hand an event to the broker; it is durable when this command ends."""
    if (type is None) == (file is None):
        raise click.UsageError("name the event's TYPE, or give whole events with --file")
    if file is not None:
        content = _read(file)
    else:
        event = {"specversion": "1.0", "type": type, "source": source, "id": id_ or uuid.uuid4().hex}
        event |= {name: text for name, text in (("subject", subject), ("partitionkey", key)) if text is not None}
        event |= dict(_attribute(text) for text in attributes)
        content = {**event, **({} if data is None else {"data": _parse(data, "--data")})}
    kind = BATCH if isinstance(content, list) else STRUCTURED
    answer = connect(home).publish_body(json.dumps(content).encode(), kind)
    if console.as_json:
        console.json(answer)
    else:
        known = f", {answer['duplicates']} of them known already" if answer["duplicates"] else ""
        console.message(f"{count(answer['accepted'], 'event')} accepted{known}{_untaken(answer)}")


@events.command("list", cls=Command, example="skerry events list --type door.opened\nskerry events list --json")
@click.option("--type", "type_", help="Only events of this type.")
@click.option("--id", "id_", help="Only events with this id.")
@click.option("--before", type=click.IntRange(min=1), metavar="NUMBER", help="Only older ones than this one.")
@limit_option
@home_option
@json_option
@click.pass_obj
def list_events(
    console: Console, *, type_: str | None, id_: str | None, before: int | None, limit: int, home: Path
) -> None:
    """List the newest events; those that are dealt with are forgotten after a day."""
    found = connect(home).kept_events(type=type_, id=id_, before=before, limit=limit)
    if console.as_json:
        console.json(found)
    elif not found:
        console.message("no such events; publish one with: skerry events publish TYPE")
    else:
        console.table(["NUMBER", "ACCEPTED", "TYPE", "SOURCE", "ID", "STATE"], [_row(kept) for kept in found])


@events.command(cls=Command, example="skerry events show 17\nskerry events show 17 --json")
@number_argument
@home_option
@json_option
@click.pass_obj
def show(console: Console, number: int, home: Path) -> None:
    """Show an event, and which triggers wait for their functions."""
    kept = connect(home).kept_event(number)
    if console.as_json:
        console.json(kept)
        return
    for name, value in (("number", number), ("accepted", moment(kept["accepted_at"])), ("state", _state(kept))):
        console.data(f"{name + ':':<17}{value}")
    for name, value in kept["event"].items():
        console.data(f"{name + ':':<17}{value if isinstance(value, str) else json.dumps(value)}")


@events.command(cls=Command, example="skerry events replay 17\nskerry events replay 17 --trigger detect")
@number_argument
@trigger_option
@home_option
@json_option
@click.pass_obj
def replay(console: Console, number: int, trigger: str | None, home: Path) -> None:
    """Give an event to the functions that take it once more, or to one of them."""
    triggers = connect(home).replay(number, trigger=trigger)
    if console.as_json:
        console.json({"event": number, "triggers": triggers})
    else:
        console.message(f"event {number} goes to {', '.join(triggers) or 'nobody: no trigger takes it'}")


@events.command(
    cls=Command, example="skerry events dead\nskerry events dead --trigger detect --replay\nskerry events dead --delete"
)
@trigger_option
@limit_option
@click.option("--replay", "as_replay", is_flag=True, help="Give those that are listed to their functions again.")
@click.option("--delete", "as_delete", is_flag=True, help="Forget those that are listed.")
@home_option
@json_option
@click.pass_obj
def dead(console: Console, *, trigger: str | None, limit: int, as_replay: bool, as_delete: bool, home: Path) -> None:
    """List dead letters: events that a function has failed on too often, or refused."""
    if as_replay and as_delete:
        raise click.UsageError("--replay and --delete do not go together")
    engine = connect(home)
    found = engine.dead_letters(trigger=trigger, limit=min(limit + 1, MOST))
    more, found = len(found) > limit, found[:limit]
    if console.as_json:
        console.json(found)
    elif not found:
        console.message("no dead letters")
    else:
        console.table(
            ["EVENT", "DIED", "TRIGGER", "TYPE", "ID", "ATTEMPTS", "CODE", "ERROR"], [_dead_row(one) for one in found]
        )
    for letter in found:
        if as_replay:
            engine.revive(letter["number"])
        elif as_delete:
            engine.bury(letter["number"])
    if found and (as_replay or as_delete):
        console.message(f"{_done(len(found), as_replay=as_replay)}{'; there are more' if more else ''}")
    elif more:
        console.message("there are more; --limit shows them")


@events.command(cls=Command, example="skerry events status\nskerry events status --json")
@home_option
@json_option
@click.pass_obj
def status(console: Console, home: Path) -> None:
    """Show the sources and the triggers, and how many events wait."""
    engine = connect(home)
    found = engine.broker()
    if console.as_json:
        console.json(found)
        return
    console.message(f"{found['accepted']} accepted since the start, {found['waiting']} wait")
    if found["sources"]:
        rows = [
            [one["name"], one["url"], str(one["taken"]), "open" if one["is_open"] else one["error"] or "opening"]
            for one in found["sources"]
        ]
        console.table(["SOURCE", "FROM", "TAKEN", "STATE"], rows)
    if not found["triggers"]:
        console.message("no triggers; decorate a function with @app.on(...), @app.every(...) or @app.cron(...)")
        return
    rows = [[str(one[key]) for key in ("name", "function", "held", "done", "dead")] for one in found["triggers"]]
    console.table(["TRIGGER", "FUNCTION", "HELD", "DONE", "DEAD"], rows)
    if engine.dead_letters(limit=1):  # the table counts since the engine's start, and those that are kept may be older
        console.message("some events are dead letters: skerry events dead")


def _read(file: str) -> Any:
    if file == "-":
        return _parse(sys.stdin.read(), "standard input")
    try:
        return _parse(Path(file).expanduser().read_text(encoding="utf-8"), f"--file {file}")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--file {file}: {getattr(error, 'strerror', None) or error}") from error


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"{place} is not JSON: {error}", hint="write text in quotes, like --data '\"some text\"'"
        ) from error


def _attribute(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigError(f"--attribute {text!r}: write NAME=TEXT")
    return name, value


def _untaken(answer: Mapping[str, int]) -> str:
    untaken = answer.get("untaken", 0)  # an engine that is older does not say it
    if not untaken:
        return ""
    return "; no trigger takes " + ("it" if answer["accepted"] == 1 else f"{untaken} of them")


def _row(kept: Mapping[str, Any]) -> list[str]:
    event = kept["event"]
    names = [event["type"], event["source"], event["id"]]
    return [str(kept["number"]), moment(kept["accepted_at"]), *names, _state(kept)]


def _state(kept: Mapping[str, Any]) -> str:
    parts = [
        f"{word}: {', '.join(kept[key])}" for key, word in (("waiting", "waits for"), ("dead", "dead")) if kept[key]
    ]
    return "; ".join(parts) or "dealt with"


def _done(number: int, *, as_replay: bool) -> str:
    if number == 1:
        done = "it goes to its function again" if as_replay else "it is forgotten"
    else:
        done = "they go to their functions again" if as_replay else "they are forgotten"
    return f"{count(number, 'dead letter')}: {done}"


def _dead_row(letter: Mapping[str, Any]) -> list[str]:
    event = letter["event"]
    error = str(event["knativeerrordata"])
    return [
        str(letter["event_number"]),
        moment(letter["died_at"]),
        letter["trigger"],
        event["type"],
        event["id"],
        str(letter["attempts"]),
        str(event["knativeerrorcode"]),
        error if len(error) <= WIDEST else f"{error[: WIDEST - 1]}…",
    ]
