"""The call of a job: what its worker is told, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skerry.engine.records import JobRequest
from skerry.errors import HandlerError, SkerryError
from skerry.runtime.call import Call
from skerry.runtime.frames import CODEC_OF, CONTENT_TYPE_OF, Codec, Frame, Kind
from skerry.runtime.message import Request
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reading import Reading

MAX_RESULT_BYTES = 256 * 2**20  # it is gathered in memory and kept in the records
TRACE = ("traceparent", "tracestate")  # of the request that submitted the job: a later attempt is not part of that


def request_of(request: Request, reading: Reading) -> JobRequest:
    """Return what is kept of a request: all but its trace and its deadline, for a job outlives its caller."""
    meta = reading.meta
    content_type = meta.get("content_type") or CONTENT_TYPE_OF[Codec(reading.codec)]
    headers = dict(meta.get("headers", {}))
    if "accept" in meta:
        headers["accept"] = meta["accept"]
    return JobRequest(
        content_type=content_type,
        body=request.body,
        headers=headers,
        urgency=reading.urgency,
        weight=reading.weight,
        group=reading.group,
    )


class JobCall(Call):
    """The call of a job; the pieces of a stream are gathered into one result.

    Args:
        job: The job's id.
        pool: The workers that it waits for.
        request: What it asks for.
        attempts: How often the job was started before.
        on_start: Called each time a worker is given the call.
        on_answer: Called exactly once, with what became of it.
        meta: What the worker is told besides, in the first attempt.
    """

    def __init__(
        self,
        job: str,
        pool: WorkerPool,
        request: JobRequest,
        *,
        attempts: int,
        on_start: Callable[[JobCall], None],
        on_answer: Callable[[JobCall, Frame | SkerryError], None],
        meta: dict[str, Any] | None = None,
    ) -> None:
        codec = CODEC_OF.get(request.content_type, Codec.OTHER)
        super().__init__(
            request.body,
            codec,
            {**_meta_of(request, codec), **(meta or {})},
            lambda answer: on_answer(self, self._whole(answer)),
            lambda attempt: on_start(self),
        )
        self.job = job
        self.pool = pool
        self.attempts = attempts
        self.recorded = 0  # the attempt whose start is on record
        if request.urgency is not None:
            self.urgency = request.urgency
        self.weight = request.weight
        self.group = request.group
        self._content_type = ""
        self._pieces: list[bytes] = []
        self._size_bytes = 0

    def on_piece(self, frame: Frame) -> None:
        """Keep a piece, and let the worker go on."""
        if frame.kind == Kind.STREAM:
            self._content_type = frame.meta["content_type"]
            return
        self._size_bytes += len(frame.body)
        if self._size_bytes > MAX_RESULT_BYTES:
            self._pieces.clear()
            self.pool.dispatcher.cancel(self, too_large(self.pool.spec.name))
        elif frame.body:
            self._pieces.append(frame.body)
            self.pool.credit(self, len(frame.body))

    def _whole(self, answer: Frame | SkerryError) -> Frame | SkerryError:
        if not isinstance(answer, Frame) or answer.kind != Kind.END:
            return answer
        meta = {"content_type": self._content_type}
        return Frame(Kind.RESULT, answer.number, Codec.OTHER, meta, b"".join(self._pieces))


def too_large(function: str) -> HandlerError:
    """Return what a job ends with whose result cannot be kept."""
    return HandlerError(
        f"function {function!r}: its result is larger than the {MAX_RESULT_BYTES >> 20} MiB that a job may have",
        hint="store the result and return where it is, or call the function without making a job of it",
    )


def _meta_of(request: JobRequest, codec: int) -> dict[str, Any]:
    headers = dict(request.headers)
    meta: dict[str, Any] = {}
    if codec == Codec.OTHER:
        meta["content_type"] = request.content_type
    if "accept" in headers:
        meta["accept"] = headers.pop("accept")
    if headers:
        meta["headers"] = headers
    return meta
