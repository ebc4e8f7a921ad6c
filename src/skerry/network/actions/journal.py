"""What was done to the network, by whom and why: one SQLite file that survives the death of every process."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import stat
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from skerry.errors import StorageError
from skerry.network.actions.action import Action, action_from_plain, action_to_plain
from skerry.network.actions.policy import Policy, policy_from_plain, policy_to_plain
from skerry.store.private import ANY_ACCESS, WRITING, make_closed, require_closed

FILE = "actions.sqlite3"
LOCK_FILE = "applying.lock"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Far longer than a transaction of ours takes, and no longer than the loop may wait for one of somebody else's.
BUSY_TIMEOUT_S = 2.0
_LOCK_AGAIN_S = 0.01
_SCHEMA = """
CREATE TABLE IF NOT EXISTS actions (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, action TEXT NOT NULL, actuator TEXT NOT NULL, settings TEXT NOT NULL,
    boot TEXT NOT NULL, due_s REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS actions_due ON actions (due_s) WHERE state IN ('pending', 'confirmed');
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, at_s REAL NOT NULL, action_id TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS bounds (
    one INTEGER PRIMARY KEY CHECK (one = 1), policy TEXT NOT NULL, confirm_s REAL NOT NULL
) STRICT;
"""
_SUMMARIES = """
SELECT first.detail, first.at_s, last.state, last.reason, last.at_s FROM (
    SELECT min(number) AS opened, max(number) AS latest FROM audit GROUP BY action_id
) JOIN audit first ON first.number = opened JOIN audit last ON last.number = latest
WHERE last.state IN (SELECT value FROM json_each(?)) ORDER BY latest DESC LIMIT ?
"""


class State(StrEnum):
    """What has become of an action."""

    REFUSED = "refused"
    TRIED = "tried"  # a dry run
    WAITING = "waiting"  # for a person
    PENDING = "pending"  # in force until its commit-confirm timer ends
    CONFIRMED = "confirmed"  # in force until its time to live ends
    WITHDRAWN = "withdrawn"


IN_FORCE = (State.PENDING, State.CONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An action in the journal.

    Attributes:
        action: The action.
        state: What has become of it.
        actuator: The name of what carries it out.
        settings: What another process needs to withdraw it.
        due_s: When it is to be withdrawn, seconds on the machine's monotonic clock; 0 when the machine was restarted.
    """

    action: Action
    state: State
    actuator: str
    settings: Mapping[str, Any]
    due_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the audit.

    Attributes:
        number: Its place.
        at_s: When, Unix time, seconds.
        action_id: What it is about.
        state: What the action became.
        reason: Why, in a sentence.
        detail: The action with its evidence, or what was measured.
    """

    number: int
    at_s: float
    action_id: str
    state: State
    reason: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One action, with what has become of it.

    Attributes:
        action: The action.
        opened_s: When it was first written down, Unix time, seconds.
        state: What it is now.
        reason: Why.
        at_s: Since when, Unix time, seconds.
    """

    action: Action
    opened_s: float
    state: State
    reason: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the process that acts in a folder is bound by.

    Attributes:
        policy: What no action may ever do.
        confirm_s: Seconds after which an action is withdrawn that nobody has confirmed.
    """

    policy: Policy
    confirm_s: float


class Journal:
    """The actions of one folder, and the audit of all that happened to them.

    Args:
        folder: Where the file is; it is made where it is not.

    Raises:
        ConfigError: others may write in the folder: what is in the journal is done, and undone, to the network.
        StorageError: the folder cannot be written. All of its methods raise it as well where the file cannot be read or
            written at the moment: the disk is full, or another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            make_closed(folder)
            require_closed(folder, "the folder of actions on the network", to=WRITING)
            _close_file(folder / FILE)
            # Autocommit: transactions are opened by hand below.
            self._database = sqlite3.connect(
                folder / FILE, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"the journal of actions cannot be opened in {folder}: {error}") from error
        self._lock_file = folder / LOCK_FILE
        self._boot = BOOT_ID.read_text().strip()

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):  # what is written is written
            self._database.close()

    def open_entry(
        self, action: Action, *, actuator: str, settings: Mapping[str, Any], due_s: float, state: State, reason: str
    ) -> None:
        """Write down an action, before anything is done.

        Args:
            action: What is to be done.
            actuator: The name of what will carry it out.
            settings: What another process needs to withdraw it.
            due_s: When it is to be withdrawn, seconds on the machine's monotonic clock.
            state: What it is from now on.
            reason: Why.
        """
        plain = action_to_plain(action)
        values = (action.id, state, json.dumps(plain), actuator, json.dumps(dict(settings)), self._boot, due_s)
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO actions VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            _audit(connection, action.id, state, reason, plain)

    def change(
        self,
        action_id: str,
        state: State,
        reason: str,
        *,
        since: Collection[State],
        due_s: float | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write down what has become of an action, unless another process was faster.

        Args:
            action_id: Which.
            state: What it is from now on.
            reason: Why.
            since: What it must be until now.
            due_s: When it is to be withdrawn now; None leaves that.
            detail: What was measured.

        Returns:
            Whether it was one of those; otherwise nothing is written.
        """
        with self._write() as connection:
            found = connection.execute("SELECT state FROM actions WHERE id = ?", (action_id,)).fetchall()
            if not found or found[0][0] not in since:
                return False
            connection.execute(
                "UPDATE actions SET state = ?, due_s = coalesce(?, due_s), boot = ? WHERE id = ?",
                (state, due_s, self._boot, action_id),
            )
            _audit(connection, action_id, state, reason, detail or {})
        return True

    @contextmanager
    def applying(self, *, wait_s: float | None = None) -> Iterator[None]:
        """Run a block while no other process is in such a block of the same folder.

        An action is written down and applied in one, and where nothing of it was there to be taken back its end is
        written down in one: so none is applied after its end. A process that dies is not in its block any more.

        Args:
            wait_s: Seconds within which the others have to end; None for as long as for the file.

        Raises:
            StorageError: they have not ended, or the folder cannot be written.
        """
        ends_at_s = time.monotonic() + (BUSY_TIMEOUT_S if wait_s is None else wait_s)
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"the journal of actions cannot be locked: {error}") from error
        try:
            while not _locked(descriptor):
                if time.monotonic() >= ends_at_s:
                    raise StorageError("the journal of actions is locked: an action is being applied, try again")
                time.sleep(_LOCK_AGAIN_S)
            yield
        finally:
            os.close(descriptor)

    def note(self, action: Action, state: State, reason: str) -> None:
        """Write into the audit that an action was refused or only tried."""
        with self._write() as connection:
            _audit(connection, action.id, state, reason, action_to_plain(action))

    def find(self, action_id: str) -> Entry | None:
        """Return an action's entry; None when there is none."""
        rows = self._read("SELECT * FROM actions WHERE id = ?", (action_id,))
        return self._entry(rows[0]) if rows else None

    def in_force(self) -> list[Entry]:
        """Return the actions that are in force, those that are to be withdrawn first at the front."""
        return self.entries(*IN_FORCE)

    def entries(self, *states: State) -> list[Entry]:
        """Return the actions in some states, those that are to be withdrawn first at the front."""
        marks = ", ".join("?" * len(states))
        query = f"SELECT * FROM actions WHERE state IN ({marks})"  # noqa: S608  # question marks only
        return sorted((self._entry(row) for row in self._read(query, states)), key=lambda item: item.due_s)

    def audit(self, action_id: str | None = None) -> list[AuditRecord]:
        """Return what happened, the oldest first: to one action, or to all."""
        query = "SELECT * FROM audit WHERE ? IS NULL OR action_id = ? ORDER BY number"
        rows = self._read(query, (action_id, action_id))
        return [
            AuditRecord(
                number=number, at_s=at_s, action_id=name, state=State(state), reason=reason, detail=json.loads(detail)
            )
            for number, at_s, name, state, reason, detail in rows
        ]

    def summaries(self, *states: State, limit: int = -1) -> list[Summary]:
        """Return actions that are in some states now, also refused and tried ones; what changed last is first.

        Args:
            states: Which; all where none is named.
            limit: How many at most; -1 for all.
        """
        rows = self._read(_SUMMARIES, (json.dumps(states or tuple(State)), limit))
        return [
            Summary(
                action=action_from_plain(json.loads(action)),
                opened_s=opened_s,
                state=State(state),
                reason=reason,
                at_s=at_s,
            )
            for action, opened_s, state, reason, at_s in rows
        ]

    def bind(self, bounds: Bounds) -> None:
        """Write down what the acting process is bound by, for a person who approves in its place."""
        with self._write() as connection:
            values = (json.dumps(policy_to_plain(bounds.policy)), bounds.confirm_s)
            connection.execute("INSERT OR REPLACE INTO bounds VALUES (1, ?, ?)", values)

    def bounds(self) -> Bounds | None:
        """Return what the latest acting process was bound by; None before there was one."""
        rows = self._read("SELECT policy, confirm_s FROM bounds")
        return Bounds(policy=policy_from_plain(json.loads(rows[0][0])), confirm_s=rows[0][1]) if rows else None

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        _, state, action, actuator, settings, boot, due_s = row
        return Entry(
            action=action_from_plain(json.loads(action)),
            state=State(state),
            actuator=actuator,
            settings=json.loads(settings),
            due_s=due_s if boot == self._boot else 0.0,
        )

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"the journal of actions cannot be read: {error}") from error

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"the journal of actions cannot be written: {error}") from error
        finally:
            # A commit that fails may leave its transaction open, and no other one could begin.
            with suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")


def _close_file(path: Path) -> None:
    """Make a file that its owner alone may read, or make it so; what SQLite puts beside it has its mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:  # not opened: to close it again would drop the locks of this process's other connections
        if stat.S_IMODE(path.stat().st_mode) & ANY_ACCESS:
            path.chmod(0o600)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _audit(
    connection: sqlite3.Connection, action_id: str, state: State, reason: str, detail: Mapping[str, Any]
) -> None:
    connection.execute(
        "INSERT INTO audit (at_s, action_id, state, reason, detail) VALUES (?, ?, ?, ?, ?)",
        (time.time(), action_id, state, reason, json.dumps(dict(detail))),
    )
