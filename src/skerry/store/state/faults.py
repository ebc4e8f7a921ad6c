"""What goes wrong with a state, told in errors of Skerry."""

from __future__ import annotations

from skerry.errors import ConfigError, StateConflictError, StorageError
from skerry.store.state.operation import COUNTER_LIMIT, Verb

_NEEDED = {
    Verb.GET: "a value",
    Verb.INCREMENT: "a whole number",
    Verb.APPEND: "a list",
    Verb.POP: "a list",
    Verb.SLICE: "a list",
    Verb.SIZE: "a list or a set",
}


def conflict(group: str, key: str) -> StateConflictError:
    """Return the error about a key that is not of the version that was asked for."""
    return StateConflictError(
        f"state {group}: {key} was changed, or its time ended, since it was read; nothing was done. Read it again and "
        "decide anew; of a lease, somebody else may hold it by now",
        key=key,
    )


def wrong_kind(group: str, key: str, verb: str, found: str) -> ConfigError:
    """Return the error about a key that holds something else.

    Args:
        group: The state.
        key: The key.
        verb: What was asked for.
        found: What it holds.
    """
    needed = _NEEDED.get(Verb(verb), "a set")
    return ConfigError(
        f"state {group}: {key} holds a {found}, and {verb} needs {needed}; use another key, or delete this one first"
    )


def not_a_number(group: str, key: str) -> ConfigError:
    """Return the error about a number that cannot be added to."""
    return ConfigError(
        f"state {group}: {key} cannot be incremented: counters are whole numbers, and stay between -{COUNTER_LIMIT} "
        f"and {COUNTER_LIMIT}; nothing was done"
    )


def failed(where: str, reason: str) -> StorageError:
    """Return the error about a store that did not do what it was asked for.

    Args:
        where: The address of the store, or the state, without a credential.
        reason: What happened.
    """
    return StorageError(f"the state at {where} failed: {reason}")
