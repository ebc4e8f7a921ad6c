"""What a person decides about the actions of a folder, beside the process that acts there or after its end."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from skerry.errors import ConfigError, UserError
from skerry.network.actions.actor import Actor, Outcome
from skerry.network.actions.journal import FILE, IN_FORCE, Entry, Journal, State
from skerry.network.actions.namespace import require_namespace
from skerry.network.actions.withdrawal import make_actuator, taken_back


def open_journal(folder: Path) -> Journal:
    """Return the journal of a folder.

    Raises:
        ConfigError: there is none.
        StorageError: it cannot be opened.
    """
    if not (folder / FILE).exists():
        raise ConfigError(
            f"nothing has acted on a network with {folder}: it has no journal of actions",
            hint="name the folder of the process that acts",
        )
    return Journal(folder)


def approve(folder: Path, action_id: str, who: str) -> Outcome:
    """Take an action that waits for a person, within the policy of the process that asked.

    It is in force for as long as that process has to confirm it; without a confirmation the keeper withdraws it.

    Args:
        folder: Where the journal is.
        action_id: Which.
        who: The person's name, for the audit.

    Returns:
        ``pending``, or ``refused`` where the policy does not allow it any more.

    Raises:
        UserError: it does not wait.
        ConfigError: there is no journal.
        PlatformError: it could not be applied, or waits in another network namespace; nothing was done.
    """
    with closing(open_journal(folder)) as journal:
        entry = _find(journal, action_id, State.WAITING)
        bounds = journal.bounds()
    require_namespace(entry)
    if bounds is None:
        raise ConfigError(f"the journal in {folder} was written by an earlier version: it does not say the policy")
    with closing(make_actuator(entry.actuator, entry.settings, policy=bounds.policy)) as actuator:
        actor = Actor(actuator, bounds.policy, folder, dry_run=False, confirm_s=bounds.confirm_s, approval=True)
        with closing(actor):
            return actor.approve(action_id, who)


def withdraw(folder: Path, action_id: str, reason: str) -> None:
    """Take an action back, or turn down one that waits.

    Args:
        folder: Where the journal is.
        action_id: Which.
        reason: Who says so, and why, for the audit.

    Raises:
        UserError: it is neither in force nor waits.
        ConfigError: there is no journal.
        PlatformError: it cannot be taken back now, or not from here; the keeper does that when it is due.
        StorageError: the journal cannot be written, or an action is being applied; a second call does the rest.
    """
    with closing(open_journal(folder)) as journal:
        entry = _find(journal, action_id, State.WAITING, *IN_FORCE)
        if journal.change(action_id, State.WITHDRAWN, reason, since=(State.WAITING,)):
            return
        require_namespace(entry)
        with (
            closing(make_actuator(entry.actuator, entry.settings)) as actuator,
            taken_back(journal, actuator, action_id),
        ):
            if not journal.change(action_id, State.WITHDRAWN, reason, since=IN_FORCE):
                _find(journal, action_id, *IN_FORCE)


def _find(journal: Journal, action_id: str, *states: State) -> Entry:
    entry = journal.find(action_id)
    if entry is not None and entry.state in states:
        return entry
    records = journal.audit(action_id)
    found = f"is {records[-1].state.value}: {records[-1].reason}" if records else "is not in the journal"
    raise UserError(f"action {action_id} {found}; it would have to be {' or '.join(states)}")
