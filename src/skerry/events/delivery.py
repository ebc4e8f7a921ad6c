"""Events on their way: accepted, and given to a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson


class Entry(NamedTuple):
    """An event as it is accepted.

    Args:
        source: Who says so; together with the id, what it is known by, so it may differ from what the document says.
        id: Unique for the source.
        type: What happened.
        key: Its ``partitionkey``; events of one key stay in order.
        document: The whole event in structured mode.
        attributes: All attributes as text, for filters.
    """

    source: str
    id: str
    type: str
    key: str | None
    document: bytes
    attributes: Mapping[str, str]

    def with_attributes(self, added: Mapping[str, str]) -> Entry:
        """Return it with further attributes, written behind those that are there."""
        document = self.document.rstrip()[:-1] + b"," + orjson.dumps(added)[1:]
        return self._replace(document=document, attributes={**self.attributes, **added})


class Delivery:
    """One event that one trigger has taken, until its function has dealt with it.

    Args:
        position: Its place in the order of the backlog.
        event: Number of the event.
        key: The event's key.
        document: The event in structured mode.
        accepted_at: Unix time, seconds.
        attempts: Attempts so far that count.
        due_at: Unix time before which it is not given to the function, seconds.
    """

    __slots__ = ("accepted_at", "alone", "attempts", "document", "due_at", "event", "key", "position", "tries")

    def __init__(
        self,
        position: int,
        event: int,
        key: str | None,
        document: bytes,
        accepted_at: float,
        attempts: int = 0,
        due_at: float = 0.0,
    ) -> None:
        self.position = position
        self.event = event
        self.key = key
        self.document = document
        self.accepted_at = accepted_at
        self.attempts = attempts
        self.due_at = due_at
        self.tries = attempts  # how often it was given to the function, those times included that do not count
        self.alone = attempts > 0  # it shares no call with others: one of those that it was with has failed


class DeadLetter(NamedTuple):
    """A delivery that is given to its function no more.

    Args:
        position: Its number.
        trigger: Whose it is.
        event: Number of the event.
        document: The event in structured mode.
        attempts: Attempts that were made.
        code: HTTP status of the last answer.
        error: What the last answer said, and why that was the last one.
        died_at: Unix time, seconds.
    """

    position: int
    trigger: str
    event: int
    document: bytes
    attempts: int
    code: int
    error: str
    died_at: float


class KeptEvent(NamedTuple):
    """An accepted event as it is on record.

    Args:
        number: Its place in the order of acceptance.
        document: The event in structured mode.
        accepted_at: Unix time, seconds.
        waiting: Triggers whose functions have not dealt with it yet.
        dead: Triggers for which it is a dead letter.
    """

    number: int
    document: bytes
    accepted_at: float
    waiting: tuple[str, ...]
    dead: tuple[str, ...]
