"""From operations to what does them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from skerry.store.state import faults
from skerry.store.state.operation import Operation, Results, Verb
from skerry.store.state.sqlite import collections, values
from skerry.store.state.sqlite.unit import Unit

_DO: dict[Verb, Callable[[Unit, Operation], Any]] = {
    Verb.CHECK: values.check,
    Verb.GET: values.get,
    Verb.PUT: values.put,
    Verb.DELETE: values.delete,
    Verb.INCREMENT: values.increment,
    Verb.EXPIRE: values.expire,
    Verb.APPEND: collections.append,
    Verb.POP: collections.pop,
    Verb.SLICE: collections.cut,
    Verb.ADD: collections.add,
    Verb.DISCARD: collections.discard,
    Verb.MEMBERS: collections.members,
    Verb.CONTAINS: collections.contains,
    Verb.SIZE: collections.size,
    Verb.SCAN: values.scan,
    Verb.REVISION: values.revision,
}
ONE_STATEMENT = frozenset([Verb.GET, Verb.SCAN, Verb.REVISION])  # reads that need no transaction around them


def run(unit: Unit, operations: Sequence[Operation]) -> Results:
    """Do operations in a transaction that the caller has begun, and commits.

    Raises:
        StateConflictError: a CHECK did not hold.
        ConfigError: a key holds another kind, or a number left its bounds.
    """
    for operation in operations:
        if operation.verb is Verb.CHECK:
            row = unit.find(operation.key)
            if (0 if row is None else row.version) != operation.number:
                raise faults.conflict(unit.group, operation.key)
    results = [_DO[operation.verb](unit, operation) for operation in operations]
    unit.finish()
    return results
