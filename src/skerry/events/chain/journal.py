"""What is on record of runs: what they began with, and how each of their steps has ended.

It is no queue: calls wait in the queues of their functions.
What has gathered in one turn of the event loop is one transaction; who has noted something goes on once it is written.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from skerry.errors import UnavailableError
from skerry.events.backlog.checkpoints import Checkpoints
from skerry.events.backlog.schema import connect

logger = logging.getLogger(__name__)
AGAIN_S = 1.0
LIVE = "running"

# MIGRATIONS[n] leads from version n to n + 1. Entries are only ever appended: files of every older version exist.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE runs (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, chain TEXT NOT NULL, plan TEXT NOT NULL,
            mode TEXT NOT NULL, status TEXT NOT NULL, traceparent TEXT NOT NULL, value BLOB NOT NULL, result BLOB,
            error TEXT, began_at REAL NOT NULL, ended_at REAL
        ) STRICT""",
        "CREATE INDEX live_runs ON runs (number) WHERE status = 'running'",
        "CREATE INDEX ended_runs ON runs (ended_at) WHERE ended_at IS NOT NULL",
        """CREATE TABLE steps (
            run INTEGER NOT NULL REFERENCES runs (number), path TEXT NOT NULL, place INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('done', 'failed', 'again', 'waits')), body BLOB NOT NULL,
            code INTEGER NOT NULL, error TEXT NOT NULL, attempts INTEGER NOT NULL, due_at REAL NOT NULL,
            began_at REAL NOT NULL, ended_at REAL NOT NULL, handler_us INTEGER NOT NULL, PRIMARY KEY (run, path)
        ) STRICT, WITHOUT ROWID""",
    ),
    ("ALTER TABLE runs ADD COLUMN local INTEGER",),  # of older runs it is not known
)
# Columns in the order of the fields of `RunRecord` and `StepRecord`.
RUNS = """SELECT number, id, chain, plan, mode, status, traceparent, value, result, error, began_at, ended_at, local
          FROM runs """
LISTED_RUNS = RUNS.replace("value, result", "x'' AS value, NULL AS result")
ADD_RUN = "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
END_RUN = "UPDATE runs SET status = ?, result = ?, error = ?, ended_at = ? WHERE number = ? AND status = 'running'"
STEPS = """SELECT path, place, state, body, code, error, attempts, due_at, began_at, ended_at, handler_us FROM steps
           WHERE run = ? ORDER BY place"""
ADD_STEP = "INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
FORGET_STEPS = "DELETE FROM steps WHERE run IN (SELECT number FROM runs WHERE ended_at < ?)"


class RunRecord(NamedTuple):
    """A run as it is on record.

    Args:
        number: Its place in the order of their beginning.
        id: Its id.
        chain: The chain's name.
        plan: What it does, as JSON: the plan that it began with.
        mode: ``separated`` or ``fused``.
        status: ``running``, ``succeeded``, ``failed`` or ``cancelled``.
        traceparent: The trace that all its steps are in.
        value: What it began with, as MessagePack.
        result: What it has ended with.
        error: Why it has failed, as JSON: path, code, detail.
        began_at: Unix time, seconds.
        ended_at: Unix time, seconds.
        local: Whether a function of it was labelled ``local``; None where that is not known.
    """

    number: int
    id: str
    chain: str
    plan: str
    mode: str
    status: str
    traceparent: str
    value: bytes
    result: bytes | None = None
    error: str | None = None
    began_at: float = 0.0
    ended_at: float | None = None
    local: bool | None = None


class StepRecord(NamedTuple):
    """A step as it is on record.

    Args:
        path: The step's.
        place: Its place in the order of what was noted of the run.
        state: It is done, has failed for good, is tried again, or waits for its time.
        body: What it has returned, as MessagePack.
        code: HTTP status of the last answer.
        error: What that said.
        attempts: Attempts that count.
        due_at: Unix time before which it is not tried again, or of the end of its wait, seconds.
        began_at: Unix time of the last attempt, seconds.
        ended_at: Unix time of its end, seconds.
        handler_us: How long the handler ran, microseconds.
    """

    path: str
    place: int
    state: str
    body: bytes = b""
    code: int = 0
    error: str = ""
    attempts: int = 0
    due_at: float = 0.0
    began_at: float = 0.0
    ended_at: float = 0.0
    handler_us: int = 0


Written = Callable[[], None]


class RunJournal:
    """The journal in a SQLite file; needs a running event loop.

    Args:
        path: The file, made when it is missing.

    Raises:
        ConfigError: it cannot be opened, is no such file, or was written by a newer Skerry.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, migrations=MIGRATIONS, what="the journal of chains")
        self._loop = asyncio.get_running_loop()
        self._checkpoints = Checkpoints(path, resume=self._commit_soon)
        self._begun: list[tuple[RunRecord, asyncio.Future[bool]]] = []
        self._steps: list[tuple[int, StepRecord]] = []
        self._ends: list[tuple[str, bytes | None, str | None, float, int]] = []
        self._written: list[Written] = []
        self._is_due = False
        last = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").fetchone()
        self._number = 0 if last is None else int(last[0])

    async def begin(self, record: RunRecord) -> tuple[RunRecord, bool]:
        """Note that a run begins; return it once it is durable, and whether it is new: else that of its id is there.

        Raises:
            UnavailableError: it cannot be written; the run does not begin.
        """
        self._number += 1
        numbered = record._replace(number=self._number)
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._begun.append((numbered, waiter))
        self._commit_soon()
        if await waiter:
            return numbered, True
        return self.run(record.id) or numbered, False

    def note(self, run: int, step: StepRecord, written: Written | None = None) -> None:
        """Note how a step has ended, or why it waits; ``written`` is called once that is durable."""
        self._steps.append((run, step))
        if written is not None:
            self._written.append(written)
        self._commit_soon()

    def end(self, run: int, status: str, *, result: bytes | None, error: dict[str, Any] | None, at: float) -> None:
        """Note how a run has ended; it is durable with what is noted in the same turn of the loop."""
        self._ends.append((status, result, None if error is None else json.dumps(error), at, run))
        self._commit_soon()

    def then(self, written: Written) -> None:
        """Call ``written`` once all that was noted is durable."""
        self._written.append(written)
        self._commit_soon()

    def run(self, id: str) -> RunRecord | None:
        """Return a run; none that is not known."""
        row = self._connection.execute(RUNS + "WHERE id = ?", (id,)).fetchone()
        return None if row is None else RunRecord(*row)

    def runs(self, *, chain: str | None = None, status: str | None = None, most: int) -> list[RunRecord]:
        """Return the newest runs, of one chain or with one status only where that is given; without their values."""
        rows = self._connection.execute(
            LISTED_RUNS
            + "WHERE (?1 IS NULL OR chain = ?1) AND (?2 IS NULL OR status = ?2) ORDER BY number DESC LIMIT ?3",
            (chain, status, most),
        )
        return [RunRecord(*row) for row in rows.fetchall()]

    def live(self) -> list[RunRecord]:
        """Return the runs that have not ended, in the order of their beginning."""
        rows = self._connection.execute(RUNS + "WHERE status = 'running' ORDER BY number")
        return [RunRecord(*row) for row in rows.fetchall()]

    def steps(self, run: int) -> list[StepRecord]:
        """Return what is noted of a run's steps, in order."""
        return [StepRecord(*row) for row in self._connection.execute(STEPS, (run,)).fetchall()]

    def purge(self, before_s: float) -> int:
        """Forget the runs that ended before a moment; return how many."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(FORGET_STEPS, (before_s,))
            count = connection.execute("DELETE FROM runs WHERE ended_at < ?", (before_s,)).rowcount
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return count

    async def close(self) -> None:
        """Write what was noted, and close the file."""
        await self._checkpoints.stop()
        self._commit()
        self._connection.close()

    # Inside

    def _commit_soon(self) -> None:
        if not self._is_due and not self._checkpoints.holds_up:
            self._is_due = True
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        """Write everything that has gathered, as one transaction."""
        self._is_due = False
        begun, self._begun = self._begun, []
        steps, self._steps = self._steps, []
        ends, self._ends = self._ends, []
        written, self._written = self._written, []
        try:
            new = self._write([record for record, _ in begun], steps, ends)
        except sqlite3.Error as error:
            logger.warning("the journal of chains cannot be written, and is tried again: %s", error)
            self._steps, self._ends = steps + self._steps, ends + self._ends
            self._written = written + self._written
            self._refuse([waiter for _, waiter in begun], error)
            self._loop.call_later(AGAIN_S, self._commit_soon)
            return
        for (_, waiter), is_new in zip(begun, new, strict=True):
            if not waiter.done():
                waiter.set_result(is_new)
        for told in written:
            try:
                told()
            except Exception:  # whatever it is, it is this run's: the others go on
                logger.exception("a run does not go on")
        self._checkpoints.wrote()

    def _write(
        self,
        begun: Sequence[RunRecord],
        steps: Sequence[tuple[int, StepRecord]],
        ends: Sequence[tuple[str, bytes | None, str | None, float, int]],
    ) -> list[bool]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            new = [connection.execute(ADD_RUN, record).rowcount == 1 for record in begun]
            if steps:
                connection.executemany(ADD_STEP, [(run, *step) for run, step in steps])
            if ends:
                connection.executemany(END_RUN, ends)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return new

    def _refuse(self, waiters: Sequence[asyncio.Future[bool]], error: sqlite3.Error) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(
                    UnavailableError(
                        f"the journal of chains {self._path} cannot be written: {error}; the run did not begin",
                        retry_after_s=AGAIN_S,
                    )
                )
