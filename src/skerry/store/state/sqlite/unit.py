"""One transaction on a state's file: what its operations have in common."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from skerry.store.state import faults
from skerry.store.state.operation import Kind, Operation

_SWEPT_AT_ONCE = 16
_FIND = "SELECT id, kind, value, version, ends_at_ms FROM entries WHERE key = ?"


class Row(NamedTuple):
    """What lies at a key: made for every read, so it is what SQLite gives, named."""

    id: int
    kind: str
    value: bytes | None
    version: int
    ends_at_ms: int | None


class Unit:
    """What one transaction does; the caller begins and ends it.

    Args:
        connection: The connection to the state's file.
        group: The state's name, for messages.
        now_ms: When the transaction happens, milliseconds since 1970.
    """

    __slots__ = ("_emptied", "_revision", "execute", "group", "now_ms")

    def __init__(self, connection: sqlite3.Connection, group: str, now_ms: int) -> None:
        self.execute = connection.execute
        self.group = group
        self.now_ms = now_ms
        self._revision: int | None = None
        self._emptied: dict[str, Kind] = {}

    def change(self) -> int:
        """Return the revision that this transaction makes: the version of all that it writes."""
        if self._revision is None:
            self._revision = self.revision() + 1
        return self._revision

    def finish(self) -> None:
        """Write the new revision, when something was changed, and remove some of what is over."""
        if self._revision is None:
            return
        over = self.execute("SELECT id FROM entries WHERE ends_at_ms <= ? LIMIT ?", (self.now_ms, _SWEPT_AT_ONCE))
        for (entry,) in over.fetchall():
            self.drop(entry)
        self.execute("UPDATE meta SET revision = ?", (self._revision,))

    def revision(self) -> int:
        """Return the revision before this transaction."""
        return int(self.execute("SELECT revision FROM meta").fetchone()[0])

    def find(self, key: str) -> Row | None:
        """Return what lies at a key; what is over lies there no more."""
        row = self.execute(_FIND, (key.encode(),)).fetchone()
        if row is None or (row[4] is not None and row[4] <= self.now_ms):
            return None
        return Row._make(row)

    def find_kind(self, operation: Operation, kind: Kind) -> Row | None:
        """Return what lies at a key, which has to be of one kind.

        Raises:
            ConfigError: it is of another.
        """
        row = self.find(operation.key)
        found = self._emptied.get(operation.key) if row is None else row.kind
        if found is not None and found != kind:
            raise faults.wrong_kind(self.group, operation.key, operation.verb, found)
        return row

    def make(self, operation: Operation, kind: Kind, value: bytes | None = None) -> int:
        """Make an entry at a key, in place of what is there, and return its id."""
        self.remove(operation.key)
        ends_at_ms = None if operation.ttl_ms is None else self.now_ms + operation.ttl_ms
        made = self.execute(
            "INSERT INTO entries (key, kind, value, version, ends_at_ms) VALUES (?, ?, ?, ?, ?)",
            (operation.key.encode(), kind, value, self.change(), ends_at_ms),
        )
        return int(made.lastrowid or 0)

    def touch(self, entry: int) -> None:
        """Give an entry the version of this transaction."""
        self.execute("UPDATE entries SET version = ? WHERE id = ?", (self.change(), entry))

    def remove(self, key: str) -> None:
        """Remove whatever lies at a key, over or not, and forget what kind it had."""
        self._emptied.pop(key, None)
        row = self.execute("SELECT id FROM entries WHERE key = ?", (key.encode(),)).fetchone()
        if row is not None:
            self.drop(row[0])

    def empty(self, key: str, entry: int, kind: Kind) -> None:
        """Remove a list or a set whose last element was taken."""
        self.change()
        self.drop(entry)
        self._emptied[key] = kind

    def drop(self, entry: int) -> None:
        """Remove an entry and what it holds."""
        self.execute("DELETE FROM elements WHERE entry = ?", (entry,))
        self.execute("DELETE FROM members WHERE entry = ?", (entry,))
        self.execute("DELETE FROM entries WHERE id = ?", (entry,))
