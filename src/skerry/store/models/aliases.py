"""The aliases of the models of one store: read, moved, and told why."""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from abc import ABC, abstractmethod

from skerry.errors import ModelInUseError, ModelNotFoundError
from skerry.store.models.history import AliasTable, HistoryEntry, Stamp, check_action, check_reason
from skerry.store.models.log import Decision, HistoryLog
from skerry.store.models.manifest import Manifest
from skerry.store.models.names import check_name
from skerry.store.objects import ObjectStore


class ModelAliases(ABC):
    """The half of a repository that moves aliases.

    Args:
        store: Where the models are.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._logs: dict[str, HistoryLog] = {}

    @abstractmethod
    def manifest(self, name: str, version: int) -> Manifest:
        """Return the manifest of a version that is there."""

    def aliases(self, name: str) -> dict[str, int]:
        """Return what the aliases of a model point at now."""
        return dict(sorted(self._table(name).aliases.items()))

    def history(self, name: str) -> list[HistoryEntry]:
        """Return what happened to the aliases of a model, oldest first."""
        return self._log(name).read()[0]

    def head(self, name: str) -> int:
        """Return the number of the newest entry of a model's history, 0 where there is none: one small request."""
        return self._log(name).head()

    def set_alias(
        self,
        name: str,
        alias: str,
        version: int,
        *,
        action: str = "alias",
        reason: str = "",
        expected: int | None = None,
    ) -> HistoryEntry:
        """Point an alias at a version.

        Args:
            name: The model.
            alias: Which; of the same letters as a model's name.
            version: An existing version.
            action: A word for what this is, kept in the history.
            reason: Why, kept in the history.
            expected: Do it only while the alias points at this version; None: in any case.

        Raises:
            ModelNotFoundError: there is no such version.
            ModelRejectedError: a word is not allowed.
            ModelInUseError: the alias does not point at what was expected.
        """
        check_name(alias, "alias")
        check_action(action)
        said = stamp(reason)
        self.manifest(name, version)

        def decide(table: AliasTable, number: int) -> HistoryEntry:
            _expect(table, alias, expected)
            return table.point(number, alias, version, said, action=action)

        return self._append(name, decide)

    def rollback(
        self, name: str, alias: str = "production", *, reason: str = "", expected: int | None = None
    ) -> HistoryEntry:
        """Point an alias at what it pointed at before its present version; once more goes further back.

        Args:
            name: The model.
            alias: Which.
            reason: Why, kept in the history.
            expected: Do it only while the alias points at this version, so that of two who flee from one bad version
                the second does not go too far; None: in any case.

        Raises:
            ModelNotFoundError: it pointed at nothing before.
            ModelInUseError: the alias does not point at what was expected.
        """
        said = stamp(reason)

        def decide(table: AliasTable, number: int) -> HistoryEntry:
            _expect(table, alias, expected)
            return table.roll_back(number, alias, said)

        return self._append(name, decide)

    def remove_alias(self, name: str, alias: str, *, reason: str = "") -> HistoryEntry:
        """Let an alias point nowhere; a rollback takes it back.

        Raises:
            ModelNotFoundError: it points nowhere already.
        """
        said = stamp(reason)
        return self._append(name, lambda table, number: table.remove(number, alias, said))

    def _append(self, name: str, decide: Decision) -> HistoryEntry:
        try:
            return self._log(name).append(decide)
        except (ModelNotFoundError, ModelInUseError) as error:
            raise type(error)(f"model {name}: {error.message}") from None

    def _table(self, name: str) -> AliasTable:
        return self._log(name).read()[1]

    def _log(self, name: str) -> HistoryLog:
        found = self._logs.get(name)
        if found is not None:
            return found
        log = HistoryLog(self.store, check_name(name))
        if not log.head():
            return log  # not kept: anybody may ask for names that do not exist
        with self._lock:
            return self._logs.setdefault(name, log)


def _expect(table: AliasTable, alias: str, expected: int | None) -> None:
    if expected is not None and table.aliases.get(alias) != expected:
        raise ModelInUseError(
            f"alias {alias!r} points at {table.aliases.get(alias, 'nothing')} by now, not at {expected}; nothing was "
            "changed"
        )


def stamp(reason: str) -> Stamp:
    """Return who writes an entry, when and why; the reason is one line of at most 1,000 characters."""
    return Stamp(at=time.time(), by=_who(), reason=check_reason(reason, "reason"))


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has a number, and not always a name
        user = str(os.geteuid())
    name = f"{user}@{socket.gethostname()}"
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:255]
