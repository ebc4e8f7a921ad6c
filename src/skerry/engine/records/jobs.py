"""Jobs: requests that are answered later. What was accepted is kept until it has ended and its result has aged.

::

    submit -> queued <-> running
              queued or running -> succeeded | failed | cancelled
              failed or cancelled -> queued, when somebody asks for it

The first end wins: whatever arrives late changes nothing. Only `Jobs.retry` leads back from an end, and never from
success. For its sake a request is kept for as long as its job, unless the job succeeds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from skerry.engine.records.schema import Database, to_json
from skerry.errors import InternalError, JobNotFoundError, JobNotReadyError, SkerryError, WorkerLostError, from_problem

RETENTION_S = 24 * 3600.0


class JobStatus(StrEnum):
    """Where a job is on its way."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the job changes no more, unless it is asked to run again."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """A job without its bodies; times are Unix seconds.

    Args:
        id: The job's id.
        function: The function that it calls.
        status: Where it is on its way.
        attempts: How often it was started, retries included.
        attempts_before: The part of them that came before the last retry.
        run: Id of the engine's run that started it last.
        submitted_at: When it was accepted.
        started_at: When it was started last.
        ended_at: When it ended.
        error: The problem of a failed job.
        local: Whether its function was labelled ``local``; None where that is not known.
    """

    id: str
    function: str
    status: JobStatus
    attempts: int
    attempts_before: int
    run: str | None
    submitted_at: float
    started_at: float | None
    ended_at: float | None
    error: Mapping[str, Any] | None
    local: bool | None

    def to_dict(self) -> dict[str, Any]:
        """Return the job as ``GET /jobs/ID`` sends it."""
        return {
            "id": self.id,
            "function": self.function,
            "status": self.status.value,
            "attempts": self.attempts,
            "submitted_at": self.submitted_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "error": None if self.error is None else dict(self.error),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """What a job's worker receives, and how it waits for one.

    Args:
        content_type: What the body is.
        body: The arguments, encoded.
        headers: Further headers, with lower-case names.
        urgency: 0 to 7, the most urgent first; none for the default.
        weight: What it counts in a batch; none where the caller has said nothing.
        group: Only calls of one group share a batch.
    """

    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    urgency: int | None = None
    weight: float | None = None
    group: str | None = None

    def options(self) -> dict[str, Any]:
        """Return what was said about the waiting, as it is kept."""
        said = {"urgency": self.urgency, "weight": self.weight, "group": self.group}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobResult:
    """What a job's worker answered; headers are those beside the content type."""

    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """What became of the jobs that ran when the engine stopped, in the order of their submission."""

    requeued: tuple[JobRecord, ...]
    failed: tuple[JobRecord, ...]


class Jobs:
    """Jobs in the records."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(
        self, job: str, function: str, request: JobRequest, *, now_s: float, run: str | None = None, local: bool = False
    ) -> JobRecord:
        """Accept a job. Once this returns, no death of the process loses it (see `schema` for power cuts).

        Args:
            job: The job's id.
            function: The function that it calls.
            request: What its worker receives.
            now_s: Unix time, seconds.
            run: Id of this run of the engine, where the job is started as well, see `start`.
            local: Whether the function is labelled ``local``.

        Raises:
            InternalError: the id is in use.
            UnavailableError: the records cannot be written; the job was not accepted.
        """
        try:
            with self._database.write() as connection:
                row = connection.execute(
                    """INSERT INTO jobs (id, function, status, attempts, run, submitted_at, started_at, local)
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *""",
                    (job, function, *_beginning(run), now_s, None if run is None else now_s, local),
                ).fetchone()
                connection.execute(
                    "INSERT INTO job_requests (job, content_type, headers, options, body) VALUES (?, ?, ?, ?, ?)",
                    (
                        job,
                        request.content_type,
                        to_json(dict(request.headers)),
                        to_json(request.options()),
                        request.body,
                    ),
                )
        except sqlite3.IntegrityError as error:
            raise InternalError(f"job id {job!r} is in use") from error
        return _job(row)

    def start(self, job: str, *, run: str, now_s: float) -> JobRecord | None:
        """Take a queued job for running; None when there is nothing to run: it was cancelled, ended or taken.

        Args:
            job: The job's id.
            run: Id of this run of the engine, for people who look for the reason of a failure.
            now_s: Unix time, seconds.
        """
        with self._database.write() as connection:
            row = connection.execute(
                """UPDATE jobs SET status = 'running', attempts = attempts + 1, run = ?, started_at = ?
                   WHERE id = ? AND status = 'queued' RETURNING *""",
                (run, now_s, job),
            ).fetchone()
        return None if row is None else _job(row)

    def mark_local(self, job: str) -> None:
        """Note that a job is given to a function that is labelled ``local``."""
        with self._database.write() as connection:
            connection.execute("UPDATE jobs SET local = 1 WHERE id = ?", (job,))

    def requeue(self, job: str) -> bool:
        """Put a running job back in its place of the queue, for one more attempt; False when it is not running."""
        with self._database.write() as connection:
            changed = connection.execute(
                "UPDATE jobs SET status = 'queued' WHERE id = ? AND status = 'running'", (job,)
            )
        return changed.rowcount == 1

    def succeed(self, job: str, result: JobResult, *, now_s: float) -> bool:
        """Record a result for good; False when the job had ended already (or never was), and nothing was changed."""
        with self._database.write() as connection:
            if not _end(connection, job, JobStatus.SUCCEEDED, None, now_s):
                return False
            connection.execute(
                "INSERT INTO job_results (job, content_type, headers, body) VALUES (?, ?, ?, ?)",
                (job, result.content_type, to_json(dict(result.headers)), result.body),
            )
            return True

    def fail(self, job: str, error: SkerryError, *, now_s: float) -> bool:
        """Record a failure for good; False when the job had ended already (or never was)."""
        with self._database.write() as connection:
            return _end(connection, job, JobStatus.FAILED, error, now_s)

    def cancel(self, job: str, *, now_s: float) -> bool:
        """Cancel a job that has not ended; False when it had. Stopping the worker is the caller's part.

        Raises:
            JobNotFoundError: there is no such job.
        """
        with self._database.write() as connection:
            if _end(connection, job, JobStatus.CANCELLED, None, now_s):
                return True
        self.get(job)
        return False

    def retry(self, job: str) -> JobRecord:
        """Put a job that has failed or was cancelled back in the queue, under its id and with its old request.

        Raises:
            JobNotFoundError: there is no such job.
            JobNotReadyError: it waits, runs or has succeeded, or its request is not kept.
        """
        with self._database.write() as connection:
            row = connection.execute(
                """UPDATE jobs SET status = 'queued', attempts_before = attempts, ended_at = NULL, error = NULL
                   WHERE id = ?1 AND status IN ('failed', 'cancelled')
                   AND EXISTS (SELECT 1 FROM job_requests WHERE job = ?1) RETURNING *""",
                (job,),
            ).fetchone()
        if row is None:
            raise _not_retried(self.get(job))
        return _job(row)

    def newest(
        self, *, function: str | None = None, status: JobStatus | None = None, limit: int = 100
    ) -> tuple[JobRecord, ...]:
        """Return the newest jobs, the newest first.

        Args:
            function: Only those that call this function.
            status: Only those that are there on their way.
            limit: Most jobs to return.
        """
        rows = self._database.rows(
            """SELECT * FROM jobs WHERE (?1 IS NULL OR function = ?1) AND (?2 IS NULL OR status = ?2)
               ORDER BY number DESC LIMIT ?3""",
            (function, None if status is None else status.value, limit),
        )
        return tuple(_job(row) for row in rows)

    def get(self, job: str) -> JobRecord:
        """Return a job.

        Raises:
            JobNotFoundError: there is no such job.
        """
        row = self._database.row("SELECT * FROM jobs WHERE id = ?", (job,))
        if row is None:
            raise JobNotFoundError(f"there is no job {job!r}; results are kept for a limited time")
        return _job(row)

    def request(self, job: str) -> JobRequest:
        """Return what a job asks for; the requests of jobs that have succeeded are not kept.

        Raises:
            JobNotFoundError: there is no such job, or it has succeeded.
        """
        row = self._database.row("SELECT * FROM job_requests WHERE job = ?", (job,))
        if row is None:
            raise JobNotFoundError(f"there is no request of job {job!r} any more")
        return JobRequest(
            content_type=row["content_type"],
            body=bytes(row["body"]),
            headers=json.loads(row["headers"]),
            **json.loads(row["options"]),
        )

    def result(self, job: str) -> JobResult:
        """Return a job's result.

        Raises:
            JobNotFoundError: there is no such job.
            JobNotReadyError: the job has not ended, or was cancelled.
            SkerryError: the job failed: its problem, as the class that its code names.
        """
        record = self.get(job)
        if record.status is JobStatus.FAILED:
            raise from_problem(record.error or {})
        row = self._database.row("SELECT * FROM job_results WHERE job = ?", (job,))
        if row is None:
            ended = "it has no result; PUT /jobs/ID/retry runs it again"
            hint = ended if record.status.ended else "ask again later, or wait with ?wait_s="
            raise JobNotReadyError(f"job {job!r} is {record.status}: {hint}", job_status=record.status.value)
        return JobResult(content_type=row["content_type"], body=bytes(row["body"]), headers=json.loads(row["headers"]))

    def pending(self, function: str | None = None) -> tuple[JobRecord, ...]:
        """Return the queued jobs in the order of their submission; of one function when it is named."""
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE status = 'queued' AND (?1 IS NULL OR function = ?1) ORDER BY number", (function,)
        )
        return tuple(_job(row) for row in rows)

    def recover(self, idempotent: Callable[[str], bool], *, now_s: float) -> Recovery:
        """Decide about the jobs that ran when the engine stopped. To be called once, before any job is started.

        Args:
            idempotent: Whether the function of this name may run a request twice.
            now_s: Unix time, seconds.

        Returns:
            Jobs of idempotent functions, queued again in their old place, and the others, failed as ``worker_lost``.
        """
        requeued: list[JobRecord] = []
        failed: list[JobRecord] = []
        lost = WorkerLostError(
            "the engine stopped while this ran; not repeated because the function is not marked idempotent",
            hint="retry the job if it may run twice: PUT /jobs/ID/retry, or skerry jobs retry ID",
        )
        with self._database.write() as connection:
            running = connection.execute("SELECT id, function FROM jobs WHERE status = 'running' ORDER BY number")
            for job, function in running.fetchall():
                if idempotent(function):
                    connection.execute("UPDATE jobs SET status = 'queued' WHERE id = ?", (job,))
                    requeued.append(_job_row(connection, job))
                else:
                    _end(connection, job, JobStatus.FAILED, lost, now_s)
                    failed.append(_job_row(connection, job))
        return Recovery(requeued=tuple(requeued), failed=tuple(failed))

    def purge(self, *, now_s: float, retention_s: float = RETENTION_S) -> int:
        """Forget the jobs that ended longer than the retention ago, with their results; return how many."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM jobs WHERE ended_at < ?", (now_s - retention_s,)).rowcount


def _end(connection: sqlite3.Connection, job: str, status: JobStatus, error: SkerryError | None, now_s: float) -> bool:
    # A detail that JSON does not know must not keep a failure from being recorded.
    problem = None if error is None else json.dumps(error.to_problem(), default=str)
    ended = connection.execute(
        "UPDATE jobs SET status = ?, ended_at = ?, error = ? WHERE id = ? AND status IN ('queued', 'running')",
        (status.value, now_s, problem, job),
    )
    if ended.rowcount == 1 and status is JobStatus.SUCCEEDED:  # others may be asked to run again
        connection.execute("DELETE FROM job_requests WHERE job = ?", (job,))
    return ended.rowcount == 1


def _beginning(run: str | None) -> tuple[str, int, str | None]:
    """Return the status, the attempts and the run of a job that is accepted, and started where there is a run."""
    return (JobStatus.QUEUED.value, 0, None) if run is None else (JobStatus.RUNNING.value, 1, run)


def _not_retried(record: JobRecord) -> JobNotReadyError:
    hints = {
        JobStatus.QUEUED: "it will run by itself",
        JobStatus.RUNNING: "wait for its end, or cancel it first",
        JobStatus.SUCCEEDED: "read its result, or submit the call once more as a new job",
    }
    hint = hints.get(record.status, "its request is not kept any more: submit the call once more as a new job")
    return JobNotReadyError(
        f"job {record.id!r} is {record.status} and cannot be retried: {hint}", job_status=record.status.value
    )


def _job_row(connection: sqlite3.Connection, job: str) -> JobRecord:
    return _job(connection.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone())


def _job(row: sqlite3.Row) -> JobRecord:
    return JobRecord(
        id=row["id"],
        function=row["function"],
        status=JobStatus(row["status"]),
        attempts=row["attempts"],
        attempts_before=row["attempts_before"],
        run=row["run"],
        submitted_at=row["submitted_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        error=None if row["error"] is None else json.loads(row["error"]),
        local=None if row["local"] is None else bool(row["local"]),
    )
