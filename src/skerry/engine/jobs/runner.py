"""Runs jobs: calls whose callers do not wait.

A job is in the records before it is accepted, and its result before it is told, so that neither a worker's death nor
the engine's loses one.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Coroutine
from copy import copy
from typing import Any, TypeGuard

import orjson

from skerry.engine.jobs.call import MAX_RESULT_BYTES, TRACE, JobCall, request_of, too_large
from skerry.engine.records import JobRecord, JobRequest, JobResult, JobStatus, Records
from skerry.engine.supervisor import Supervisor
from skerry.engine.wait_parameter import MAX_WAIT_S, wait_of
from skerry.errors import (
    DeadlineExceededError,
    FunctionNotFoundError,
    JobNotFoundError,
    JobNotReadyError,
    MalformedBodyError,
    PrivacyError,
    QueueFullError,
    SkerryError,
    StartError,
    UnavailableError,
    WorkerLostError,
    from_problem,
)
from skerry.runtime.exchange import response_of
from skerry.runtime.frames import Frame, Kind
from skerry.runtime.message import Request, Response
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reading import Reading

logger = logging.getLogger(__name__)
JOB_HEADER = "skerry-job"  # of a result that came with its job: the job, as `GET /jobs/ID` answers it
PURGE_PERIOD_S = 600.0
MOST_ATTEMPTS = 4  # of a job whose workers die, where it may run again; a retry grants as many once more
START_PATIENCE_S = 60.0  # how long jobs wait for a function whose workers cannot start
RECORD_PERIOD_S = 1.0  # until what could not be recorded is tried again
PUBLIC = ("code", "status", "retryable")  # of the error of a job whose function is labelled `local`
LISTED = 100  # jobs, where nobody says how many
MOST_LISTED = 10_000
RecordsError = (SkerryError, sqlite3.Error)


class JobRunner:
    """Accepts jobs, hands them to workers, records what becomes of them.

    Args:
        records: The records.
        supervisor: What serves the functions.
    """

    def __init__(self, records: Records, supervisor: Supervisor) -> None:
        self._apps = records.apps
        self._jobs = records.jobs
        self._supervisor = supervisor
        self._run = uuid.uuid4().hex[:12]
        self._calls: dict[str, JobCall] = {}
        self._unrecorded: dict[str, Callable[[], None]] = {}  # job -> records its end, which has not been possible yet
        self._waiters: dict[str, list[asyncio.Future[Response | None]]] = {}
        self._refused_s: dict[str, float] = {}  # job -> since when its function does not start
        self._stopping = False

    # What callers ask for

    def submit(self, pool: WorkerPool, request: Request, reading: Reading) -> Response | Coroutine[Any, Any, Response]:
        """Accept a call as a job and answer 202 with its address; with its result, where it succeeds while one waits.

        ``Prefer: respond-async, wait=10`` waits for ten seconds (RFC 7240, section 4.3).

        Raises:
            QueueFullError: as many calls wait as the function's `queue` allows.
            SkerryError: the function cannot start, or the engine is about to end.
        """
        _require_room(pool)
        job = uuid.uuid4().hex
        asked = request_of(request, reading)
        # One commit for both, where a worker takes it at once. Only of jobs that may run again: the record is a moment
        # ahead of the worker, and others would be given up for lost if the engine died in between.
        starts = pool.spec.idempotent and pool.dispatcher.takes_at_once
        record = self._jobs.submit(
            job, pool.spec.name, asked, now_s=time.time(), run=self._run if starts else None, local=pool.spec.local
        )
        trace = {key: value for key, value in reading.meta.items() if key in TRACE}
        call = self._call(job, pool, asked, meta=trace)
        call.recorded = record.attempts
        self._offer(call)
        if reading.wait_s > 0:
            return self._answer_within(job, min(MAX_WAIT_S, reading.wait_s))
        return _accepted(record)

    async def _answer_within(self, job: str, wait_s: float) -> Response:
        """Return a job's result, or, unless it has succeeded by then, what is known of it."""
        result = await self._wait(job, wait_s)
        record = self._jobs.get(job)
        if record.status is not JobStatus.SUCCEEDED:
            return _accepted(record)
        if result is None:
            result = _response_of(self._jobs.result(job))
        own = {
            "location": _address(record),
            "preference-applied": "wait",
            JOB_HEADER: orjson.dumps(record.to_dict()).decode(),
        }
        return Response(result.body, content_type=result.content_type, headers=result.headers | own)

    def list(self, request: Request) -> Response:
        """Answer ``GET /jobs``: the newest jobs."""
        jobs = self._jobs.newest(
            function=request.parameter("function"), status=_status_of(request), limit=_limit_of(request)
        )
        return Response.of_json([self._view(job, request) for job in jobs])

    async def status(self, request: Request) -> Response:
        """Answer ``GET /jobs/ID``, after the job has ended or ``wait_s`` has passed."""
        job = _job_of(request)
        await self._wait(job, wait_of(request))
        return Response.of_json(self._view(self._jobs.get(job), request))

    async def result(self, request: Request) -> Response:
        """Answer ``GET /jobs/ID/result``, after the job has ended or ``wait_s`` has passed."""
        job = _job_of(request)
        await self._wait(job, wait_of(request))
        record = self._jobs.get(job)
        if self._is_private(record, request):
            raise PrivacyError(f"function {record.function!r} is labelled local: its results do not leave this site")
        return _response_of(self._jobs.result(job))

    async def _wait(self, job: str, wait_s: float) -> Response | None:
        """Wait for a job to end, but no longer than so many seconds; return its result, if it comes meanwhile."""
        if wait_s > 0 and (job in self._calls or not self._jobs.get(job).status.ended):
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[Response | None] = loop.create_future()
            waiters = self._waiters.setdefault(job, [])
            waiters.append(waiter)
            alarm = loop.call_later(wait_s, _tell, waiter, None)
            try:
                return await waiter
            finally:
                alarm.cancel()
                waiters.remove(waiter)
        return None

    def _is_private(self, record: JobRecord, request: Request) -> bool:
        """Whether what a job was given and has answered is kept from a caller, who is on another machine."""
        if request.same_machine:
            return False
        served = self._supervisor.served.get(record.function)
        labelled = served.pool.spec.local if served is not None else record.local is None
        return labelled or bool(record.local)

    def _view(self, record: JobRecord, request: Request) -> dict[str, Any]:
        """Return a job as a caller may see it."""
        view = record.to_dict()
        if record.error is not None and self._is_private(record, request):
            text = f"function {record.function!r} is labelled local: what its jobs say does not leave this site"
            view["error"] = {name: record.error[name] for name in PUBLIC if name in record.error} | {"detail": text}
        return view

    def cancel(self, request: Request) -> Response:
        """Answer ``DELETE /jobs/ID``: a waiting job never runs, and the worker of a running one is ended."""
        job = _job_of(request)
        if self._jobs.cancel(job, now_s=time.time()):
            self._unrecorded.pop(job, None)
            call = self._calls.pop(job, None)
            if call is not None and call.enqueued_s:  # else a full queue did not take it yet
                call.pool.dispatcher.cancel(call, JobNotReadyError(f"job {job!r} was cancelled"))
                call.pool.wake()
            self._ended(job)
        return Response.of_json(self._view(self._jobs.get(job), request))

    def retry(self, request: Request) -> Response:
        """Answer ``PUT /jobs/ID/retry``: a job that has failed or was cancelled runs again under its id.

        Raises:
            JobNotReadyError: it waits, runs or has succeeded.
            FunctionNotFoundError: its function is not served any more.
            PrivacyError: it is labelled ``local``, and the caller is on another machine.
            SkerryError: there is no room for it, as for a new job; see `submit`.
        """
        job = _job_of(request)
        before = self._jobs.get(job)
        if self._is_private(before, request):
            raise PrivacyError(f"function {before.function!r} is labelled local: only this machine may call it")
        if before.status in (JobStatus.FAILED, JobStatus.CANCELLED):
            _require_room(self._supervisor.find(before.function).pool)
        record = self._jobs.retry(job)
        self._when_possible(job, lambda: self._resume(job, record.function))
        return _accepted(record)

    # The engine's life

    def recover(self) -> None:
        """Take up the jobs of the engine that was here before."""
        active = {revision.function: revision for revision in self._apps.active()}

        def idempotent(function: str) -> bool:
            return function in active and bool(active[function].spec.get("idempotent"))

        recovery = self._jobs.recover(idempotent, now_s=time.time())
        if recovery.requeued or recovery.failed:
            logger.info("jobs: %d run again, %d were lost", len(recovery.requeued), len(recovery.failed))
        for record in self._jobs.pending():
            self._resume(record.id, record.function)
        self._supervisor.on_change.append(self._changed)
        self._purge()

    def stop(self) -> None:
        """Record no losses from now on: what does not end in time is taken up by the next engine."""
        self._stopping = True
        for call in self._calls.values():
            if call.waiting:
                call.pool.dispatcher.abandon(call)
        for waiters in self._waiters.values():
            for waiter in waiters:
                _tell(waiter, None)

    def finish(self) -> None:
        """Record what could not be recorded so far, at the last opportunity."""
        for job, record in list(self._unrecorded.items()):
            try:
                record()
            except JobNotFoundError:
                continue  # it was cancelled meanwhile
            except RecordsError as error:
                logger.error("the end of job %s is lost: %s", job, error)

    # Inside

    def _purge(self) -> None:
        try:
            self._jobs.purge(now_s=time.time())
        except RecordsError as error:
            logger.warning("old jobs are not removed: %s", error)
        if not self._stopping:
            asyncio.get_running_loop().call_later(PURGE_PERIOD_S, self._purge)

    def _changed(self, function: str) -> None:
        """Take up the jobs that waited for a function to be served, or tell that it never will be."""
        try:
            for record in self._jobs.pending(function):
                if record.id not in self._calls and record.id not in self._unrecorded:
                    self._resume(record.id, function)
        except RecordsError as error:
            logger.warning("the jobs of %s cannot be looked up: %s", function, error)
            asyncio.get_running_loop().call_later(RECORD_PERIOD_S, self._changed, function)

    def _resume(self, job: str, function: str) -> None:
        try:
            pool = self._supervisor.find(function).pool
        except FunctionNotFoundError as error:
            if any(revision.function == function for revision in self._apps.active()):
                logger.warning("job %s waits: function %s is deployed but not served", job, function)
                return
            self._jobs.fail(job, error, now_s=time.time())
            self._ended(job)
            return
        record = self._jobs.get(job)
        if record.status.ended:
            self._calls.pop(job, None)
            return
        if pool.spec.local and not record.local:
            self._jobs.mark_local(job)
        self._offer(self._call(job, pool, self._jobs.request(job), attempts=record.attempts))

    def _call(
        self, job: str, pool: WorkerPool, asked: JobRequest, *, attempts: int = 0, meta: dict[str, Any] | None = None
    ) -> JobCall:
        return JobCall(job, pool, asked, attempts=attempts, on_start=self._started, on_answer=self._answered, meta=meta)

    def _offer(self, call: JobCall) -> None:
        dispatcher = call.pool.dispatcher
        self._calls[call.job] = call
        try:
            dispatcher.offer(call)
        except QueueFullError:
            self._offer_later(call.job, dispatcher.drain_s())
        except SkerryError as error:
            call.on_answer(error)
        call.pool.wake()

    def _offer_later(self, job: str, delay_s: float) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._offer_again, job)

    def _offer_again(self, job: str) -> None:
        call = self._calls.get(job)
        if call is not None and not self._stopping:  # else it was cancelled meanwhile
            self._when_possible(job, lambda: self._resume(job, call.pool.spec.name))

    def _started(self, call: JobCall) -> None:
        job, attempt = call.job, call.attempts
        self._refused_s.pop(job, None)
        if attempt == call.recorded:
            return  # the worker that was given it before has not begun it
        try:
            if call.recorded:
                self._jobs.requeue(job)
            self._jobs.start(job, run=self._run, now_s=time.time())
        except RecordsError as error:
            # It runs for all that; unless this is recorded, an engine that takes its place would run it once more.
            logger.warning("the start of job %s is not recorded, and tried again: %s", job, error)
            asyncio.get_running_loop().call_later(RECORD_PERIOD_S, self._still_started, call)
        else:
            call.recorded = attempt

    def _still_started(self, call: JobCall) -> None:
        if self._calls.get(call.job) is call and not call.waiting:
            self._started(call)

    def _answered(self, call: JobCall, answer: Frame | SkerryError) -> None:
        job = call.job
        if self._calls.get(job) is not call:
            return  # it was cancelled, and may have been asked to run again since
        if self._is_patient(answer, job):
            self._offer_later(job, float(answer.details.get("retry_after_s", 1)))
            return
        del self._calls[job]
        self._when_possible(job, lambda: self._settle(call, answer))

    def _when_possible(self, job: str, record: Callable[[], None]) -> None:
        """Record something about a job, now or as soon as the records can be written; nothing here may lose it."""
        self._unrecorded.pop(job, None)
        try:
            record()
        except JobNotFoundError:  # it was cancelled meanwhile
            self._calls.pop(job, None)
            self._ended(job)
        except RecordsError as error:
            logger.warning("job %s is not recorded, and tried again: %s", job, error)
            self._unrecorded[job] = record
            asyncio.get_running_loop().call_later(RECORD_PERIOD_S, self._try_again, job, record)

    def _try_again(self, job: str, record: Callable[[], None]) -> None:
        if self._unrecorded.get(job) is record:
            self._when_possible(job, record)

    def _settle(self, call: JobCall, answer: Frame | SkerryError) -> None:
        job, now_s = call.job, time.time()
        if isinstance(answer, Frame) and answer.kind == Kind.RESULT:
            response = response_of(answer)
            if len(response.body) > MAX_RESULT_BYTES:
                self._jobs.fail(job, too_large(call.pool.spec.name), now_s=now_s)
            else:
                result = JobResult(content_type=response.content_type, body=response.body, headers=response.headers)
                self._jobs.succeed(job, result, now_s=now_s)
                self._ended(job, response)
                return
        elif self._goes_on(call.pool, job, answer):
            self._jobs.requeue(job)
            self._resume(job, call.pool.spec.name)
            return
        elif isinstance(answer, Frame) or not self._stopping:
            error = answer if isinstance(answer, SkerryError) else from_problem(orjson.loads(answer.body))
            self._jobs.fail(job, error, now_s=now_s)
        self._ended(job)

    def _goes_on(self, pool: WorkerPool, job: str, answer: Frame | SkerryError) -> bool:
        """Whether a job goes back into a queue: nobody waits for it, so it may stay there as long as it takes."""
        if isinstance(answer, DeadlineExceededError):
            return True
        if isinstance(answer, WorkerLostError) and not self._stopping:
            record = self._jobs.get(job)
            return pool.spec.idempotent and record.attempts - record.attempts_before < MOST_ATTEMPTS
        served = self._supervisor.served.get(pool.spec.name)
        # The time of an old revision to finish its calls is over, and another one serves.
        return isinstance(answer, UnavailableError) and served is not None and served.pool is not pool

    def _is_patient(self, answer: Frame | SkerryError, job: str) -> TypeGuard[StartError]:
        """Whether a job waits for its function to start after all: what keeps it from that may pass."""
        if not isinstance(answer, StartError) or self._stopping:
            return False
        now = asyncio.get_running_loop().time()
        return now - self._refused_s.setdefault(job, now) < START_PATIENCE_S

    def _ended(self, job: str, result: Response | None = None) -> None:
        """Tell those who wait; the result goes with it, so that none of them has to read it from the records again."""
        self._refused_s.pop(job, None)
        for waiter in self._waiters.pop(job, []):
            _tell(waiter, result)


def _tell(waiter: asyncio.Future[Response | None], result: Response | None) -> None:
    if not waiter.done():
        waiter.set_result(result)


def _require_room(pool: WorkerPool) -> None:
    """Refuse what a caller could be told to try again later; a job that was accepted waits as long as it takes."""
    dispatcher = pool.dispatcher
    if dispatcher.refusal is not None:
        raise copy(dispatcher.refusal)  # its traceback would hold the request
    if dispatcher.queued >= max(1, pool.spec.queue):
        raise QueueFullError(
            f"function {pool.spec.name!r}: {dispatcher.queued} requests wait already, and its queue holds "
            f"{pool.spec.queue}; try again later, or raise queue or scale.max",
            retry_after_s=dispatcher.drain_s(),
        )


def _accepted(record: JobRecord) -> Response:
    return Response.of_json(record.to_dict(), status=202, headers={"location": _address(record)})


def _address(record: JobRecord) -> str:
    return f"/jobs/{record.id}"


def _response_of(found: JobResult) -> Response:
    return Response(found.body, content_type=found.content_type, headers=dict(found.headers))


def _job_of(request: Request) -> str:
    return request.path.strip("/").split("/")[1]


def _status_of(request: Request) -> JobStatus | None:
    text = request.parameter("status")
    try:
        return None if text is None else JobStatus(text)
    except ValueError as error:
        raise MalformedBodyError(f"status = {text!r}: must be one of {', '.join(JobStatus)}") from error


def _limit_of(request: Request) -> int:
    text = request.parameter("limit")
    if text is None:
        return LISTED
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MOST_LISTED:
        raise MalformedBodyError(f"limit = {text!r}: must be a whole number from 1 to {MOST_LISTED}")
    return int(text)
