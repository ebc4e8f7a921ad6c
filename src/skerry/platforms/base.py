"""What every place that runs functions can do for a caller."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from skerry.errors import ConfigError, TransportError
from skerry.platforms.options import CallOptions

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from skerry.platforms.outgoing import Outgoing

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
PLAIN_CALL: Final = CallOptions()


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer of a function: its body and what the body is."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]


class AnswerStream(ABC):
    """A successful answer whose body is read as it comes; leaving its ``with`` block ends the call.

    Args:
        content_type: What the body is.
        headers: Headers of the answer, with names in lower case.
    """

    def __init__(self, content_type: str, headers: Mapping[str, str]) -> None:
        self.content_type = content_type
        self.headers = headers

    @abstractmethod
    def read(self) -> bytes:
        """Wait for more of the body and return it; empty at its end.

        Raises:
            TransportError: the connection was lost before the end.
            DeadlineExceededError: the call's time is over.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the answer; a call that still runs is cancelled."""

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """What a platform knows about one spawned call; times are Unix seconds.

    Attributes:
        answer: What it has answered, where a platform has told that with the job.
    """

    id: str
    function: str
    status: JobStatus
    attempts: int = 0
    submitted_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    error: Mapping[str, Any] | None = None
    answer: Answer | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, answer: Answer | None = None) -> JobRecord:
        """Return the record that a platform's JSON object describes; members that are not known here are left out."""
        return cls(**{key: value for key, value in values.items() if key in _TOLD}, answer=answer)


_TOLD = frozenset(field.name for field in fields(JobRecord)) - {"answer"}


class Cancellation:
    """A switch that ends calls from another thread: it closes their sockets and cuts their waiting short."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._sockets: set[socket.socket] = set()

    @property
    def cancelled(self) -> bool:
        """Whether the switch was thrown."""
        return self._event.is_set()

    def cancel(self) -> None:
        """End every call that holds this switch, now and later."""
        self._event.set()
        with self._lock:
            for sock in self._sockets:
                # A shutdown wakes the thread that reads; a close alone would not. That of the plain socket, for the one
                # of a TLS socket takes away what the thread is reading with.
                try:
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    continue

    def wait(self, delay_s: float) -> None:
        """Sleep, unless the switch is thrown first.

        Raises:
            TransportError: the call was cancelled.
        """
        if self._event.wait(delay_s):
            raise TransportError("the call was cancelled", sent=False)

    def attach(self, sock: socket.socket) -> None:
        """Close ``sock`` when the switch is thrown.

        Raises:
            TransportError: it was thrown already.
        """
        with self._lock:
            self._sockets.add(sock)
        if self.cancelled:
            self.detach(sock)
            raise TransportError("the call was cancelled", sent=False)

    def detach(self, sock: socket.socket) -> None:
        """Forget a socket whose call has ended."""
        with self._lock:
            self._sockets.discard(sock)


class Platform(ABC):
    """A place that runs functions.

    Every method raises the errors of :mod:`skerry.errors`: those that the platform answered with, and `TransportError`
    when no answer came. Methods may be called from several threads at once.

    Attributes:
        keeps_jobs: Whether `submit` works: the platform keeps calls that nobody waits for, and their results.
    """

    keeps_jobs: ClassVar[bool] = True

    def send_inputs(
        self, inputs: Sequence[Outgoing], *, function: str, keep: bool = False, again: bool = False
    ) -> None:
        """Have the platform get the files and folders that a call will refer to, as far as it does not have them.

        Args:
            inputs: What the call refers to.
            function: Which function it calls.
            keep: Whether they must be there later too, when the caller's files may be gone: for a job.
            again: Whether the platform has said that it misses something.

        Raises:
            PrivacyError: one of them must not leave its site; nothing was sent.
            ConfigError: this platform takes no files or folders.
        """
        raise ConfigError(f"{type(self).__name__} takes no files or folders; call a function of an engine")

    @abstractmethod
    def invoke(
        self,
        function: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None = None,
        options: CallOptions = PLAIN_CALL,
        cancellation: Cancellation | None = None,
    ) -> Answer:
        """Run a function and wait for its answer.

        Args:
            function: Its name.
            body: The encoded arguments.
            content_type: What the body is.
            accept: What the answer should be, as a content type.
            options: Deadline, priority and the like.
            cancellation: Ends the call from another thread.
        """

    @abstractmethod
    def stream(
        self,
        function: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None = None,
        options: CallOptions = PLAIN_CALL,
        cancellation: Cancellation | None = None,
    ) -> AnswerStream:
        """Run a function and return its answer as soon as it begins; the arguments are those of :meth:`invoke`."""

    @abstractmethod
    def submit(
        self,
        function: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None = None,
        options: CallOptions = PLAIN_CALL,
    ) -> JobRecord:
        """Accept a call now and run it later; the arguments are those of :meth:`invoke`.

        A job outlives its caller, so it has no deadline. The record has an answer where the options have a wait and the
        call succeeded within it; a platform may not wait at all.
        """

    @abstractmethod
    def job(self, job_id: str, *, wait_s: float = 0.0) -> JobRecord:
        """Return what is known about a job.

        Args:
            job_id: The job.
            wait_s: Longest wait for it to end first, in seconds; the platform may answer earlier.
        """

    @abstractmethod
    def result(self, job_id: str, *, timeout_s: float | None = None) -> Answer:
        """Wait for a job to end and return its answer.

        Args:
            job_id: The job.
            timeout_s: Longest wait in seconds; none waits until the job has ended.

        Raises:
            JobNotReadyError: the time is over, or the job was cancelled.
        """

    @abstractmethod
    def cancel(self, job_id: str) -> JobRecord:
        """Stop a job, running or not, and return what is known about it now."""

    @abstractmethod
    def retry(self, job_id: str) -> JobRecord:
        """Run a job that failed or was cancelled again, under its id; return what is known about it now.

        Raises:
            JobNotReadyError: it waits, runs or has succeeded.
        """
