"""What happened to functions: deployments, workers coming and going, decisions to scale."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skerry.engine.records.schema import Database, to_json

KEPT = 10_000  # newest events per function


@dataclass(frozen=True, kw_only=True, slots=True)
class EventRecord:
    """One thing that happened to a function.

    Args:
        at: Unix time, seconds.
        function: The function's name.
        kind: What happened, such as ``worker_ready``.
        detail: Further members, plain JSON values.
    """

    at: float
    function: str
    kind: str
    detail: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the event as the control plane sends it."""
        return {**self.detail, "at": self.at, "function": self.function, "kind": self.kind}


class Events:
    """Events in the records; the newest 10,000 of every function.

    Args:
        database: Where they are kept.
        kept: How many per function; another value than the default is for tests.
    """

    __slots__ = ("_database", "_kept")

    def __init__(self, database: Database, *, kept: int = KEPT) -> None:
        self._database = database
        self._kept = kept

    def add(self, event: EventRecord) -> None:
        """Record an event and drop the function's oldest one beyond the bound."""
        with self._database.write() as connection:
            number = connection.execute(
                """INSERT INTO events (function, number, at, kind, detail)
                   VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM events WHERE function = ?1), ?2, ?3, ?4)
                   RETURNING number""",
                (event.function, event.at, event.kind, to_json(dict(event.detail))),
            ).fetchone()[0]
            connection.execute(
                "DELETE FROM events WHERE function = ? AND number <= ?", (event.function, number - self._kept)
            )

    def list(
        self, function: str | None = None, *, since_s: float | None = None, limit: int = 1000
    ) -> tuple[EventRecord, ...]:
        """Return events in the order in which they were recorded; when there are more than the limit, the newest.

        Args:
            function: Only this function's events.
            since_s: Only events at or after this Unix time, seconds.
            limit: How many at most.
        """
        rows = self._database.rows(
            """SELECT * FROM events WHERE (?1 IS NULL OR function = ?1) AND (?2 IS NULL OR at >= ?2)
               ORDER BY sequence DESC LIMIT ?3""",
            (function, since_s, limit),
        )
        return tuple(_event(row) for row in reversed(rows))


def _event(row: sqlite3.Row) -> EventRecord:
    return EventRecord(at=row["at"], function=row["function"], kind=row["kind"], detail=json.loads(row["detail"]))
