"""What functions have used, by revision and hour: what is billed, and what is only recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from skerry.engine.records.schema import Database

HOUR_S = 3600
KEPT_S = 400 * 86_400  # a year and a month: long enough to compare a month with the same one a year ago


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageRecord:
    """What one revision has used in one hour.

    Args:
        function: The function's name.
        revision: The revision's name.
        hour_at: When the hour began, Unix time, seconds.
        requests: Requests that were answered, also those that no worker was given.
        errors: Of these, the ones whose answer had a status code of 500 or more.
        billed_us: Time that the handler ran, microseconds. Nothing else is billed.
        memory_gb_s: The same time, multiplied by the memory of a worker: seconds times 10^9 bytes.
        cold_starts: Starts of workers for which a request waited.
        cold_start_us: How long these took, microseconds.
        idle_us: Time that ready workers held no request, summed over them, microseconds.
    """

    function: str
    revision: str
    hour_at: int
    requests: int
    errors: int
    billed_us: int
    memory_gb_s: float
    cold_starts: int
    cold_start_us: int
    idle_us: int


_ADD = """INSERT INTO usage (function, revision, hour_at, requests, errors, billed_us, memory_gb_s, cold_starts,
    cold_start_us, idle_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (function, revision, hour_at) DO UPDATE SET requests = requests + excluded.requests,
    errors = errors + excluded.errors, billed_us = billed_us + excluded.billed_us,
    memory_gb_s = memory_gb_s + excluded.memory_gb_s, cold_starts = cold_starts + excluded.cold_starts,
    cold_start_us = cold_start_us + excluded.cold_start_us, idle_us = idle_us + excluded.idle_us"""


class Usage:
    """Usage in the records, for 400 days.

    Args:
        database: Where it is kept.
    """

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, used: Iterable[UsageRecord]) -> None:
        """Add to what is recorded of the same revisions and hours, and drop what is too old.

        Raises:
            UnavailableError: the records cannot be written; nothing was added.
        """
        rows = [astuple(record) for record in used]  # in the order of the columns
        with self._database.write() as connection:
            connection.executemany(_ADD, rows)
            newest = max((row[2] for row in rows), default=0)
            connection.execute("DELETE FROM usage WHERE hour_at < ?", (newest - KEPT_S,))

    def list(self, function: str | None = None, *, since_s: float | None = None) -> tuple[UsageRecord, ...]:
        """Return what was used, the oldest hour first, then by function and revision.

        Args:
            function: Only this function.
            since_s: Only hours that ended after this Unix time, seconds.
        """
        rows = self._database.rows(
            """SELECT * FROM usage WHERE (?1 IS NULL OR function = ?1) AND (?2 IS NULL OR hour_at + ?3 > ?2)
               ORDER BY hour_at, function, revision""",
            (function, since_s, HOUR_S),
        )
        return tuple(UsageRecord(**dict(row)) for row in rows)
