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
from collections.abc import Callable
from copy import copy
from typing import Any, TypeGuard

import orjson

from skerry.engine.records import JobRequest, JobResult, Records
from skerry.engine.supervisor import Supervisor
from skerry.errors import (
    DeadlineExceededError,
    FunctionNotFoundError,
    JobNotFoundError,
    JobNotReadyError,
    QueueFullError,
    SkerryError,
    StartError,
    UnavailableError,
    WorkerLostError,
    from_problem,
)
from skerry.runtime.call import Call
from skerry.runtime.frames import CODEC_OF, CONTENT_TYPE_OF, Codec, Frame, Kind
from skerry.runtime.front import result_response
from skerry.runtime.message import Request, Response
from skerry.runtime.pool import WorkerPool

logger = logging.getLogger(__name__)
MAX_WAIT_S = 60.0
PURGE_PERIOD_S = 600.0
MOST_ATTEMPTS = 4  # of a job whose workers die, where it may run again
START_PATIENCE_S = 60.0  # how long jobs wait for a function whose workers cannot start
RECORD_PERIOD_S = 1.0  # until what could not be recorded is tried again
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
        self._calls: dict[str, tuple[WorkerPool, Call]] = {}
        self._unrecorded: dict[str, Callable[[], None]] = {}  # job -> records its end, which has not been possible yet
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._refused_s: dict[str, float] = {}  # job -> since when its function does not start
        self._stopping = False

    # What callers ask for

    def submit(self, pool: WorkerPool, request: Request, codec: int, meta: dict[str, Any]) -> Response:
        """Accept a call as a job and answer 202 with its address.

        Raises:
            QueueFullError: as many calls wait as the function's `queue` allows.
            SkerryError: the function cannot start, or the engine is about to end.
        """
        if pool.dispatcher.refusal is not None:
            raise copy(pool.dispatcher.refusal)  # its traceback would hold the request
        if pool.dispatcher.queued >= max(1, pool.spec.queue):
            raise QueueFullError(
                f"function {pool.spec.name!r}: {pool.dispatcher.queued} requests wait already",
                retry_after_s=pool.dispatcher.drain_s(),
            )
        job = uuid.uuid4().hex
        content_type = meta.get("content_type") or CONTENT_TYPE_OF[Codec(codec)]
        headers = {**meta.get("headers", {}), **({"accept": meta["accept"]} if "accept" in meta else {})}
        asked = JobRequest(content_type=content_type, body=request.body, headers=headers)
        record = self._jobs.submit(job, pool.spec.name, asked, now_s=time.time())
        self._offer(job, pool, request.body, codec, meta)
        return Response.of_json(record.to_dict(), status=202, headers={"location": f"/jobs/{job}"})

    def status(self, request: Request) -> Response:
        """Answer ``GET /jobs/ID``."""
        return Response.of_json(self._jobs.get(_job_of(request)).to_dict())

    async def result(self, request: Request) -> Response:
        """Answer ``GET /jobs/ID/result``, after the job has ended or ``wait_s`` has passed."""
        job = _job_of(request)
        wait_s = _wait_of(request)
        if wait_s > 0 and not self._jobs.get(job).status.ended:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiters = self._waiters.setdefault(job, [])
            waiters.append(waiter)
            try:
                await asyncio.wait([waiter], timeout=wait_s)
            finally:
                waiters.remove(waiter)
        found = self._jobs.result(job)
        return Response(found.body, content_type=found.content_type, headers=dict(found.headers))

    def cancel(self, request: Request) -> Response:
        """Answer ``DELETE /jobs/ID``: a waiting job never runs, and the worker of a running one is ended."""
        job = _job_of(request)
        if self._jobs.cancel(job, now_s=time.time()):
            pool, call = self._calls.pop(job, (None, None))
            if pool is not None and call is not None and call.enqueued_s:  # else a full queue did not take it yet
                pool.dispatcher.cancel(call, JobNotReadyError(f"job {job!r} was cancelled"))
                pool.wake()
            self._ended(job)
        return Response.of_json(self._jobs.get(job).to_dict())

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
        self._supervisor.on_change = self._changed
        self._purge()

    def stop(self) -> None:
        """Record no losses from now on: what does not end in time is taken up by the next engine."""
        self._stopping = True
        for pool, call in self._calls.values():
            if call.waiting:
                pool.dispatcher.abandon(call)
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

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
        asked = self._jobs.request(job)
        codec = CODEC_OF.get(asked.content_type, Codec.OTHER)
        headers = dict(asked.headers)
        meta: dict[str, Any] = {}
        if codec == Codec.OTHER:
            meta["content_type"] = asked.content_type
        if "accept" in headers:
            meta["accept"] = headers.pop("accept")
        if headers:
            meta["headers"] = headers
        self._offer(job, pool, asked.body, codec, meta)

    def _offer(self, job: str, pool: WorkerPool, body: bytes, codec: int, meta: dict[str, Any]) -> None:
        call = Call(body, codec, meta, self._answer_to(job), lambda attempt: self._started(job, attempt))
        self._calls[job] = (pool, call)
        try:
            pool.dispatcher.offer(call)
        except QueueFullError:
            self._offer_later(job, pool.dispatcher.drain_s())
        except SkerryError as error:
            self._answer_to(job)(error)
        pool.wake()

    def _offer_later(self, job: str, delay_s: float) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._offer_again, job)

    def _offer_again(self, job: str) -> None:
        if job in self._calls and not self._stopping:  # else it was cancelled meanwhile
            pool, _ = self._calls[job]
            self._when_possible(job, lambda: self._resume(job, pool.spec.name))

    def _started(self, job: str, attempt: int) -> None:
        self._refused_s.pop(job, None)
        now_s = time.time()
        try:
            if attempt > 1:
                self._jobs.requeue(job)
            self._jobs.start(job, run=self._run, now_s=now_s)
        except RecordsError as error:
            # It runs for all that; unless this is recorded, an engine that takes its place would run it once more.
            logger.warning("the start of job %s is not recorded, and tried again: %s", job, error)
            asyncio.get_running_loop().call_later(RECORD_PERIOD_S, self._still_started, job, attempt)

    def _still_started(self, job: str, attempt: int) -> None:
        _, call = self._calls.get(job, (None, None))
        if call is not None and not call.waiting:
            self._started(job, attempt)

    def _answer_to(self, job: str) -> Callable[[Frame | SkerryError], None]:
        return lambda answer: self._answered(job, answer)

    def _answered(self, job: str, answer: Frame | SkerryError) -> None:
        pool, call = self._calls.pop(job, (None, None))
        if pool is not None and call is not None and self._is_patient(answer, job):
            self._calls[job] = (pool, call)
            self._offer_later(job, float(answer.details.get("retry_after_s", 1)))
            return
        self._when_possible(job, lambda: self._settle(job, pool, answer))

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

    def _settle(self, job: str, pool: WorkerPool | None, answer: Frame | SkerryError) -> None:
        if isinstance(answer, Frame) and answer.kind == Kind.RESULT:
            response = result_response(answer)
            result = JobResult(content_type=response.content_type, body=response.body, headers=response.headers)
            self._jobs.succeed(job, result, now_s=time.time())
        elif pool is not None and self._goes_on(pool, job, answer):
            self._jobs.requeue(job)
            self._resume(job, pool.spec.name)
            return
        elif isinstance(answer, Frame) or not self._stopping:
            error = answer if isinstance(answer, SkerryError) else from_problem(orjson.loads(answer.body))
            self._jobs.fail(job, error, now_s=time.time())
        self._ended(job)

    def _goes_on(self, pool: WorkerPool, job: str, answer: Frame | SkerryError) -> bool:
        """Whether a job goes back into a queue: nobody waits for it, so it may stay there as long as it takes."""
        if isinstance(answer, DeadlineExceededError):
            return True
        if isinstance(answer, WorkerLostError) and not self._stopping:
            return pool.spec.idempotent and self._jobs.get(job).attempts < MOST_ATTEMPTS
        served = self._supervisor.served.get(pool.spec.name)
        # The time of an old revision to finish its calls is over, and another one serves.
        return isinstance(answer, UnavailableError) and served is not None and served.pool is not pool

    def _is_patient(self, answer: Frame | SkerryError, job: str) -> TypeGuard[StartError]:
        """Whether a job waits for its function to start after all: what keeps it from that may pass."""
        if not isinstance(answer, StartError) or self._stopping:
            return False
        now = asyncio.get_running_loop().time()
        return now - self._refused_s.setdefault(job, now) < START_PATIENCE_S

    def _ended(self, job: str) -> None:
        self._refused_s.pop(job, None)
        for waiter in self._waiters.pop(job, []):
            if not waiter.done():
                waiter.set_result(None)


def _job_of(request: Request) -> str:
    return request.path.strip("/").split("/")[1]


def _wait_of(request: Request) -> float:
    text = request.parameter("wait_s")
    try:
        return max(0.0, min(MAX_WAIT_S, float(text or 0)))
    except ValueError:
        return 0.0
