"""The history of one model in a store: read once, followed by its end, written without locks.

Entries are numbered without gaps and never change. So what was read is kept, and whether there is more is one look for
the next number: a poll costs one small request, whatever the length of the history. A writer decides by what it has
read and writes the next number if it is absent. If somebody was faster, what was decided may be wrong by now: it reads
on and decides again. So every entry was right at its place, and no two writers take the same place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from skerry.errors import CorruptObjectError, ModelRejectedError, ObjectNotFoundError
from skerry.store.models.history import AliasTable, HistoryEntry
from skerry.store.models.names import NUMBER_LIMIT, history_prefix, number_of, numbered
from skerry.store.objects import ObjectStore

FEW = 16
READERS = 8

Decision = Callable[[AliasTable, int], HistoryEntry]


class HistoryLog:
    """The history of one model; safe for threads.

    Args:
        store: Where it is.
        name: The model.
    """

    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store = store
        self._prefix = history_prefix(name)
        self._lock = threading.Lock()
        self._entries: list[HistoryEntry] = []
        self._table = AliasTable()

    def read(self) -> tuple[list[HistoryEntry], AliasTable]:
        """Return all entries there are by now, oldest first, and what they come to.

        Raises:
            CorruptObjectError: an entry is none.
        """
        with self._lock:
            self._follow()
            return list(self._entries), self._table

    def head(self) -> int:
        """Return the number of the newest entry; 0 where there is none."""
        with self._lock:
            self._follow()
            return len(self._entries)

    def append(self, decide: Decision) -> HistoryEntry:
        """Write the next entry.

        Args:
            decide: Told what the history comes to and the number of the next entry, returns the entry, or raises. Asked
                again when another writer was faster.
        """
        while True:
            with self._lock:
                self._follow()
                table, number = self._table, len(self._entries) + 1
            entry = decide(table, number)
            if self._store.put_if_absent(numbered(self._prefix, number), entry.to_json()):
                return entry
            # A connection may have lost the answer to our own write, and the store's client have tried it again.
            if self._read_entry(number) == entry:
                return entry

    def _follow(self) -> None:
        known = len(self._entries)
        while len(self._entries) < NUMBER_LIMIT:
            if len(self._entries) == known + FEW:
                self._catch_up()
            try:
                self._take(self._read_entry(len(self._entries) + 1))
            except ObjectNotFoundError:
                return

    def _catch_up(self) -> None:
        """Read what is far behind by several requests at a time, as one waits for its answer for most of the time."""
        numbers = {number_of(info.key) or 0 for info in self._store.list(self._prefix)}
        begin = end = len(self._entries) + 1
        while end in numbers:
            end += 1
        with ThreadPoolExecutor(READERS, thread_name_prefix="skerry-history") as pool:
            for entry in pool.map(self._read_entry, range(begin, end)):
                self._take(entry)
        if max(numbers, default=0) > end:
            self._check_there(end)

    def _check_there(self, number: int) -> None:
        """Look for an entry that must be there, as a later one is: it may have been written while we listed."""
        try:
            self._read_entry(number)
        except ObjectNotFoundError as error:
            key = numbered(self._prefix, number)
            raise CorruptObjectError(f"{key} is missing, and later entries are there; restore it") from error

    def _take(self, entry: HistoryEntry) -> None:
        self._entries.append(entry)
        self._table = self._table.after(entry)

    def _read_entry(self, number: int) -> HistoryEntry:
        key = numbered(self._prefix, number)
        try:
            entry = HistoryEntry.from_json(self._store.get(key))
        except ModelRejectedError as error:
            raise CorruptObjectError(f"{key}: {error.message}") from error
        if entry.number != number:
            raise CorruptObjectError(f"{key}: it says that its number is {entry.number}")
        return entry
