"""``skerry network actions list | show | audit``."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.network.actions.options import folder_option, id_argument
from skerry.cli.network.actions.view import evidence_lines
from skerry.cli.options import Command, json_option
from skerry.cli.units import count, duration, moment
from skerry.spec.characters import show_control

if TYPE_CHECKING:
    from skerry.network.actions import AuditRecord, Entry, Hits, Summary

STATES = ("waiting", "pending", "confirmed", "tried", "refused", "withdrawn")
OPEN = ("waiting", "pending", "confirmed")

limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many at most, the latest."
)


@click.command(
    "list", cls=Command, example="skerry network actions list\nskerry network actions list --state tried --json"
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="Only actions in this state; again for another one.  [default: waiting, pending and confirmed]",
)
@click.option("--all", "as_all", is_flag=True, help="Actions in every state.")
@limit_option
@folder_option
@json_option
@click.pass_obj
def list_actions(console: Console, *, states: tuple[str, ...], as_all: bool, limit: int, folder: Path) -> None:
    """List actions that wait for a person or are in force, or others.

    A loop that only tries its actions, which is the default, leaves them as "tried".
    """
    from skerry.network.actions import State
    from skerry.network.actions.person import open_journal

    if as_all and states:
        raise click.UsageError("--all and --state do not go together")
    wanted = [State(name) for name in (STATES if as_all else states or OPEN)]
    with closing(open_journal(folder)) as journal:
        found = journal.summaries(*wanted, limit=limit)
        rows = [_summary(summary, journal.find(summary.action.id)) for summary in found]
        others = Counter(summary.state for summary in journal.summaries() if summary.state not in wanted)
    if console.as_json:
        console.json(rows)
        return
    if rows:
        columns = ["ID", "STATE", "SINCE", "ENDS", "ACTION", "REASON"]
        console.table(columns, [_row(summary, row) for summary, row in zip(found, rows, strict=True)])
    else:
        console.message("no such actions" if states or as_all else "no action waits for a person or is in force")
    if others and not states:
        which = ", ".join(f"{number} {state.value}" for state, number in others.items())
        console.message(f"{count(others.total(), 'action')} in other states ({which}); --all shows them")


@click.command(
    cls=Command, example="skerry network actions show a1b2c3d4e5f6\nskerry network actions show a1b2c3d4e5f6 --json"
)
@id_argument()
@folder_option
@json_option
@click.pass_obj
def show(console: Console, id_: str, folder: Path) -> None:
    """Show an action: what it does, what it has dropped so far, the evidence, and all that became of it."""
    from skerry.errors import UserError
    from skerry.network.actions import action_from_plain, action_words
    from skerry.network.actions.person import open_journal

    with closing(open_journal(folder)) as journal:
        records, entry = journal.audit(id_), journal.find(id_)
    if not records:
        raise UserError(f"action {id_} is not in the journal", hint="skerry network actions list --all")
    action, latest = action_from_plain(records[0].detail), records[-1]
    dropped, ends_in_s = _dropped(entry), _ends_in_s(entry)
    if console.as_json:
        plain = {**records[0].detail, "state": latest.state.value, "ends_in_s": ends_in_s}
        console.json({**plain, "dropped_packets": dropped, "audit": [_record(record) for record in records]})
        return
    lines = [
        ("id", id_),
        ("state", f"{latest.state.value} since {moment(latest.at_s)}: {latest.reason}"),
        ("action", action_words(action)),
        ("ends", "-" if ends_in_s is None else f"in {duration(ends_in_s)}, unless it is renewed"),
        ("dropped", "-" if dropped is None else count(dropped, "packet")),
    ]
    for name, value in lines:
        _say(console, f"{name + ':':<10}{value}")
    console.data("evidence:")
    for line in evidence_lines(action.evidence, indent="  "):
        _say(console, line)
    console.data("audit:")
    for record in records:
        measured = "" if record is records[0] else _measured(record)
        _say(console, f"  {moment(record.at_s)}  {record.state.value:<10}{record.reason}{measured}")


@click.command(cls=Command, example="skerry network actions audit\nskerry network actions audit --limit 1000 --json")
@limit_option
@folder_option
@json_option
@click.pass_obj
def audit(console: Console, *, limit: int, folder: Path) -> None:
    """List what happened to all actions, the latest last; with --json also the evidence."""
    from skerry.network.actions.person import open_journal

    with closing(open_journal(folder)) as journal:
        records = journal.audit()[-limit:]
    if console.as_json:
        console.json([{"id": record.action_id, **_record(record)} for record in records])
        return
    rows = [[moment(record.at_s), record.action_id, record.state.value, record.reason] for record in records]
    console.table(["AT", "ID", "STATE", "REASON"], rows)


def _say(console: Console, line: str) -> None:
    """Write one line, whatever is in it: no reason may look like a record of its own."""
    console.data(show_control(line, keep=""))


def _summary(summary: Summary, entry: Entry | None) -> dict[str, Any]:
    from skerry.network.actions import action_to_plain

    return {
        **action_to_plain(summary.action),
        "state": summary.state.value,
        "reason": summary.reason,
        "opened_at": summary.opened_s,
        "since": summary.at_s,
        "ends_in_s": _ends_in_s(entry),
    }


def _row(summary: Summary, plain: dict[str, Any]) -> list[str]:
    from skerry.network.actions import action_words

    ends = "-" if plain["ends_in_s"] is None else f"in {duration(plain['ends_in_s'])}"
    words = [summary.action.id, summary.state.value, moment(summary.at_s), ends]
    return [*words, action_words(summary.action), summary.reason]


def _record(record: AuditRecord) -> dict[str, Any]:
    return {"at": record.at_s, "state": record.state.value, "reason": record.reason, "detail": record.detail}


def _measured(record: AuditRecord) -> str:
    words = [f"{name} {value}" for name, value in record.detail.items() if isinstance(value, int | float)]
    return f" ({', '.join(words)})" if words else ""


def _ends_in_s(entry: Entry | None) -> float | None:
    from skerry.network.actions.journal import IN_FORCE
    from skerry.network.actions.withdrawal import monotonic_s

    if entry is None or entry.state not in IN_FORCE:
        return None
    return max(0.0, round(entry.due_s - monotonic_s(), 3))


def _dropped(entry: Entry | None) -> int | None:
    """Return what an action in force has dropped; None where this user may not see that."""
    from skerry.errors import SkerryError
    from skerry.network.actions.journal import IN_FORCE
    from skerry.network.actions.withdrawal import make_actuator

    if entry is None or entry.state not in IN_FORCE:
        return None
    try:
        with closing(make_actuator(entry.actuator, entry.settings)) as actuator:
            hits: Hits | None = actuator.applied().get(entry.action.id)
    except SkerryError:
        return None
    return None if hits is None or not hits.counted else hits.packets
