"""The operations on lists and sets."""

from __future__ import annotations

from skerry.store.state import faults
from skerry.store.state.operation import Kind, Operation
from skerry.store.state.sqlite.unit import Unit

_FIRST = "SELECT position, value FROM elements WHERE entry = ? ORDER BY position LIMIT 1"
_LAST = "SELECT position, value FROM elements WHERE entry = ? ORDER BY position DESC LIMIT 1"


def append(unit: Unit, operation: Operation) -> int:
    """Put values at the end of a list."""
    row = unit.find_kind(operation, Kind.LIST)
    if row is None:
        entry, begin, end = unit.make(operation, Kind.LIST), 0, 0
    else:
        entry = row.id
        unit.touch(entry)
        begin, end = _bounds(unit, entry)
    for position, value in enumerate(operation.values, end):
        unit.execute("INSERT INTO elements VALUES (?, ?, ?)", (entry, position, value))
    return end + len(operation.values) - begin


def pop(unit: Unit, operation: Operation) -> bytes | None:
    """Take the first or the last element of a list away."""
    row = unit.find_kind(operation, Kind.LIST)
    if row is None:
        return None
    begin, end = _bounds(unit, row.id)
    position, value = unit.execute(_LAST if operation.number else _FIRST, (row.id,)).fetchone()
    if end - begin == 1:
        unit.empty(operation.key, row.id, Kind.LIST)
    else:
        unit.execute("DELETE FROM elements WHERE entry = ? AND position = ?", (row.id, position))
        unit.touch(row.id)
    return bytes(value)


def cut(unit: Unit, operation: Operation) -> list[bytes]:
    """Read a part of a list, with positions as Python has them."""
    row = unit.find_kind(operation, Kind.LIST)
    if row is None:
        return []
    begin, end = _bounds(unit, row.id)
    first, behind, _ = slice(operation.number, operation.stop).indices(end - begin)
    query = "SELECT value FROM elements WHERE entry = ? AND position >= ? AND position < ? ORDER BY position"
    return [value for (value,) in unit.execute(query, (row.id, begin + first, begin + behind))]


def add(unit: Unit, operation: Operation) -> int:
    """Put values into a set."""
    row = unit.find_kind(operation, Kind.SET)
    entry = unit.make(operation, Kind.SET) if row is None else row.id
    new = sum(
        unit.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (entry, value)).rowcount
        for value in operation.values
    )
    if row is not None and new:
        unit.touch(entry)
    return new


def discard(unit: Unit, operation: Operation) -> int:
    """Take values out of a set."""
    row = unit.find_kind(operation, Kind.SET)
    if row is None:
        return 0
    gone = sum(
        unit.execute("DELETE FROM members WHERE entry = ? AND value = ?", (row.id, value)).rowcount
        for value in operation.values
    )
    if gone:
        unit.touch(row.id)
        if unit.execute("SELECT 1 FROM members WHERE entry = ? LIMIT 1", (row.id,)).fetchone() is None:
            unit.empty(operation.key, row.id, Kind.SET)
    return gone


def members(unit: Unit, operation: Operation) -> list[bytes]:
    """Read a set, in the order of the encoded values."""
    row = unit.find_kind(operation, Kind.SET)
    if row is None:
        return []
    query = "SELECT value FROM members WHERE entry = ? ORDER BY value"
    return [value for (value,) in unit.execute(query, (row.id,))]


def contains(unit: Unit, operation: Operation) -> bool:
    """Look for a value in a set."""
    row = unit.find_kind(operation, Kind.SET)
    query = "SELECT 1 FROM members WHERE entry = ? AND value = ?"
    return row is not None and unit.execute(query, (row.id, operation.values[0])).fetchone() is not None


def size(unit: Unit, operation: Operation) -> int:
    """Count a list or a set."""
    row = unit.find(operation.key)
    if row is None:
        return 0
    if row.kind == Kind.VALUE:
        raise faults.wrong_kind(unit.group, operation.key, operation.verb, row.kind)
    if row.kind == Kind.LIST:
        begin, end = _bounds(unit, row.id)
        return end - begin
    return int(unit.execute("SELECT count(*) FROM members WHERE entry = ?", (row.id,)).fetchone()[0])


def _bounds(unit: Unit, entry: int) -> tuple[int, int]:
    """Return the position of the first element and the one behind the last: there are no holes between them."""
    begin = unit.execute("SELECT min(position) FROM elements WHERE entry = ?", (entry,)).fetchone()[0]
    last = unit.execute("SELECT max(position) FROM elements WHERE entry = ?", (entry,)).fetchone()[0]
    return begin, last + 1
