"""A call that was spawned: it runs on its own, and is asked about later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from skerry.platforms.base import ENDED, JobRecord, JobStatus, Platform

if TYPE_CHECKING:
    from skerry.payload import Signature

LONGEST_LOOK_S: Final = 20.0
PAUSE_S: Final = 0.05  # between looks at a platform that does not wait

R_co = TypeVar("R_co", covariant=True)


class Job(Generic[R_co]):
    """A spawned call of a function that returns ``R_co``.

    It outlives its caller: it has no deadline, and its platform keeps it until a day after its end.

    Example:
        ``job = train.spawn(rows); ...; model = job.result(timeout_s=60)``
    """

    def __init__(self, record: JobRecord, platform: Platform, signature: Signature) -> None:
        self.id = record.id
        self._told = record
        self._platform = platform
        self._signature = signature

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

    @property
    def told_s(self) -> float:
        """How long the job took from its submission to its end, in seconds, where `spawn` waited for that; else 0."""
        if self._told.ended_at is None or self._told.submitted_at is None:
            return 0.0
        return self._told.ended_at - self._told.submitted_at

    def record(self) -> JobRecord:
        """Return all that is known about the job: its status, attempts, times and error.

        Raises:
            JobNotFoundError: the platform has forgotten it.
        """
        return self._platform.job(self.id)

    def status(self) -> JobStatus:
        """Return ``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``."""
        return self.record().status

    def wait(self, timeout_s: float | None = None) -> JobStatus:
        """Wait for the job to end, without its result, and return its status then.

        Args:
            timeout_s: Longest wait in seconds; none waits until the job has ended.

        Raises:
            JobNotFoundError: the platform has forgotten it.
        """
        if self._told.answer is not None:
            return self._told.status
        ends_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = LONGEST_LOOK_S if ends_s is None else ends_s - time.monotonic()
            began_s = time.monotonic()
            status = self._platform.job(self.id, wait_s=max(0.0, min(LONGEST_LOOK_S, left_s))).status
            if status in ENDED or (ends_s is not None and time.monotonic() >= ends_s):
                return status
            time.sleep(max(0.0, PAUSE_S - (time.monotonic() - began_s)))

    def result(self, timeout_s: float | None = None) -> R_co:
        """Wait for the job to end and return what the function returned.

        Args:
            timeout_s: Longest wait in seconds; none waits until the job has ended.

        Raises:
            JobNotReadyError: the time is over, or the job was cancelled.
            SkerryError: the error that the call ended with; `retry` gives it another chance.
        """
        answer = self._told.answer or self._platform.result(self.id, timeout_s=timeout_s)
        value: R_co = self._signature.decode_result(answer.body, answer.content_type, answer.headers)
        return value

    def cancel(self) -> JobStatus:
        """Stop the job, running or not, and return its status: one that has ended already stays as it is."""
        return self._platform.cancel(self.id).status

    def retry(self) -> JobStatus:
        """Run a job that failed or was cancelled again, under its id and with its old arguments; return its status.

        Raises:
            JobNotReadyError: it waits, runs or has succeeded; the message says what to do.
            FunctionNotFoundError: its function is not deployed any more.
            QueueFullError: as many calls wait as its function's `queue` allows; try again later.
        """
        return self._platform.retry(self.id).status
