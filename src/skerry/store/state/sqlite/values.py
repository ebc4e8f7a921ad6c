"""The operations on values, and on keys whatever they hold."""

from __future__ import annotations

from typing import Any

from skerry.store.state import faults
from skerry.store.state.operation import COUNTER_LIMIT, Kind, Operation
from skerry.store.state.sqlite.unit import Row, Unit

_REPLACE = "UPDATE entries SET value = ?, version = ?, ends_at_ms = ? WHERE id = ?"
_SCAN = """SELECT key, kind, version, ends_at_ms FROM entries
    WHERE key >= ? AND key > ? AND key < ? AND (ends_at_ms IS NULL OR ends_at_ms > ?) ORDER BY key LIMIT ?"""
_BEHIND_ALL = b"\xff"  # no UTF-8 has this byte


def get(unit: Unit, operation: Operation) -> tuple[bytes, int] | None:
    """Read a value and its version."""
    row = unit.find_kind(operation, Kind.VALUE)
    return None if row is None else (row.value or b"", row.version)


def put(unit: Unit, operation: Operation) -> int:
    """Write a value in place of whatever is there."""
    row, version = unit.find(operation.key), unit.change()
    if row is not None and row.kind == Kind.VALUE:
        ends_at_ms = None if operation.ttl_ms is None else unit.now_ms + operation.ttl_ms
        unit.execute(_REPLACE, (operation.values[0], version, ends_at_ms, row.id))
    else:
        unit.make(operation, Kind.VALUE, operation.values[0])
    return version


def delete(unit: Unit, operation: Operation) -> bool:
    """Remove whatever is there."""
    there = unit.find(operation.key) is not None
    if there:
        unit.change()
    unit.remove(operation.key)
    return there


def increment(unit: Unit, operation: Operation) -> int:
    """Add to a whole number."""
    row = unit.find_kind(operation, Kind.VALUE)
    number = 0 if row is None else _whole(row)
    if number is None or max(abs(number), abs(number + operation.number)) > COUNTER_LIMIT:
        raise faults.not_a_number(unit.group, operation.key)
    number += operation.number
    if row is None:
        unit.make(operation, Kind.VALUE, b"%d" % number)
    else:
        unit.execute(_REPLACE, (b"%d" % number, unit.change(), row.ends_at_ms, row.id))
    return number


def expire(unit: Unit, operation: Operation) -> bool:
    """Say when a key ends; its version stays, for what it holds is the same."""
    row = unit.find(operation.key)
    if row is None:
        return False
    ends_at_ms = None if operation.ttl_ms is None else unit.now_ms + operation.ttl_ms
    unit.execute("UPDATE entries SET ends_at_ms = ? WHERE id = ?", (ends_at_ms, row.id))
    return True


def scan(unit: Unit, operation: Operation) -> list[tuple[str, str, int, int | None]]:
    """List keys that begin with a prefix."""
    prefix = operation.key.encode()
    bounds = (prefix, operation.after.encode(), prefix + _BEHIND_ALL, unit.now_ms, operation.number)
    return [
        (key.decode(), kind, version, None if ends_at_ms is None else ends_at_ms - unit.now_ms)
        for key, kind, version, ends_at_ms in unit.execute(_SCAN, bounds)
    ]


def revision(unit: Unit, operation: Operation) -> int:
    """Read the revision of the state."""
    return unit.revision()


def check(unit: Unit, operation: Operation) -> Any:
    """Do nothing: checks are looked at before everything else."""


def _whole(row: Row) -> int | None:
    try:
        return int(row.value or b"")
    except ValueError:
        return None
