"""``skerry network actions approve | withdraw``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.network.actions.options import folder_option, id_argument, person_option
from skerry.cli.options import Command, json_option


@click.command(
    cls=Command,
    example="skerry network actions approve a1b2c3d4e5f6\nskerry network actions approve a1b2c3d4e5f6 --as 'Ada L.'",
)
@id_argument("waiting")
@person_option
@folder_option
@json_option
@click.pass_obj
def approve(console: Console, *, id_: str, who: str, folder: Path) -> None:
    """Take an action that waits for a person, as it is shown by `skerry network actions show`.

    It is bound by the policy of the loop that asked, and has to be verified by it: what nobody confirms is withdrawn.
    """
    from skerry.errors import ConfigError
    from skerry.network.actions import State, action_words
    from skerry.network.actions.person import approve as take

    outcome = take(folder, id_, who)
    if outcome.state is not State.PENDING:
        raise ConfigError(f"action {id_} was not taken: {outcome.reason}")
    if console.as_json:
        console.json({"id": id_, "state": outcome.state.value, "reason": outcome.reason})
    else:
        console.message(f"{id_} is in force until its commit-confirm timer ends: {action_words(outcome.action)}")


@click.command(
    cls=Command,
    example="skerry network actions withdraw a1b2c3d4e5f6 --reason 'a customer called'\n"
    "skerry network actions withdraw --all",
)
@id_argument("waiting", "pending", "confirmed", many=True)
@click.option("--all", "as_all", is_flag=True, help="All that wait or are in force.")
@click.option("--reason", default="", help="Why, for the audit.")
@person_option
@folder_option
@json_option
@click.pass_obj
def withdraw(console: Console, *, ids: tuple[str, ...], as_all: bool, reason: str, who: str, folder: Path) -> None:
    """Take actions back, exactly, or turn down those that wait.

    A loop that still sees the attack may act again: end it first, or leave it in a dry run.
    """
    from skerry.network.actions import State
    from skerry.network.actions.person import open_journal
    from skerry.network.actions.person import withdraw as take_back

    if bool(ids) == as_all:
        raise click.UsageError("name the actions, or say --all")
    if as_all:
        with closing(open_journal(folder)) as journal:
            ids = tuple(entry.action.id for entry in journal.entries(State.WAITING, State.PENDING, State.CONFIRMED))
    for action_id in ids:
        take_back(folder, action_id, f"withdrawn by {who}{reason and f': {reason}'}")
        if not console.as_json:
            console.message(f"{action_id} is withdrawn")
    if console.as_json:
        console.json({"withdrawn": list(ids)})
    elif not ids:
        console.message("no action waits or is in force")
