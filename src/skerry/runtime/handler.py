"""A function's handler inside a worker: loaded once, called with decoded arguments, its errors made into answers."""

from __future__ import annotations

import sys
import time
import traceback
import uuid
from collections.abc import Callable
from typing import Any

import orjson

from skerry.errors import (
    AppImportError,
    DeadlineExceededError,
    HandlerError,
    HandlerTimeoutError,
    MemoryLimitError,
    SkerryError,
    StartError,
    UserError,
)
from skerry.payload import JSON, MSGPACK, Signature
from skerry.runtime.concurrency import check_concurrency, is_async
from skerry.runtime.frames import CODEC_OF, CONTENT_TYPE_OF, MAX_TIME, Codec, Frame, Kind, encode_frame
from skerry.runtime.interruption import CallCancelled
from skerry.runtime.target import AppObject, FunctionObject, Target

UNUSUAL = frozenset(["content_type", "headers", "accept"])  # metadata that change how bodies are read or written


class LoadedHandler:
    """One function, ready to be called.

    Args:
        call: The plain function, or the loaded instance of the handler's class.
        signature: How its arguments and its result travel.
        unload: Called when the worker stops.
        target: What was loaded.
    """

    def __init__(
        self, call: Callable[..., Any], signature: Signature, unload: Callable[[], Any] | None, target: Target
    ) -> None:
        self.call = call
        self.signature = signature
        self.unload = unload
        self.target = target
        self.is_async = is_async(call)
        check_concurrency(target.function or target.module, target.concurrency, is_async=self.is_async)

    def nature(self) -> dict[str, bool]:
        """Return what the front has to know of the handler, by the names of a READY frame's metadata."""
        return {
            "takes_items": self.signature.takes_items,
            "streams": self.signature.streams,
            "interruptible": not self.is_async and not self.signature.takes_items,
        }

    def decode(self, frame: Frame) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call; raises as :meth:`Signature.decode_call` does."""
        content_type = frame.meta.get("content_type") or CONTENT_TYPE_OF[Codec(frame.codec)]
        return self.signature.decode_call(frame.body, content_type, frame.meta.get("headers"))

    def encode(self, frame: Frame, value: Any, micros: int) -> bytes:
        """Return the frame of a result.

        Args:
            frame: The call.
            value: What the handler returned.
            micros: How long it ran, microseconds.

        Raises:
            HandlerError: the value has no wire form, or is not what the annotation says.
        """
        wanted = MSGPACK if frame.meta.get("accept") == MSGPACK else JSON  # what is meant for streams says nothing here
        body, content_type, headers = self.signature.encode_result(value, wanted)
        codec = CODEC_OF.get(content_type, Codec.OTHER)
        meta: dict[str, Any] = {}
        if codec == Codec.OTHER:
            meta["content_type"] = content_type
        if headers:
            meta["headers"] = headers
        return encode_frame(Kind.RESULT, frame.number, body, codec=codec, meta=meta, time=min(micros, MAX_TIME))

    def answer_cancelled(self, number: int, micros: int = 0) -> bytes:
        """Return the frame that ends a call which nobody waits for any more."""
        error = HandlerError(f"function {self.target.function!r}: the request was cancelled")
        return encode_problem(number, error, micros)

    def answer_overdue(self, number: int) -> bytes:
        """Return the frame that ends a call whose deadline passed before it began."""
        return encode_problem(
            number,
            DeadlineExceededError(
                f"function {self.target.function!r}: the deadline passed while the request waited behind others in its "
                "worker; it was not run"
            ),
        )

    def answer_error(self, number: int, error: BaseException, *, late: bool = False, micros: int = 0) -> bytes:
        """Return the frame that tells the caller of ``error``; the traceback goes to the log only.

        Args:
            number: The call's.
            error: What the handler raised.
            late: Whether it was ended because it ran longer than its `timeout`.
            micros: How long it ran, microseconds.
        """
        if isinstance(error, CallCancelled):
            return self.answer_cancelled(number, micros)
        return encode_problem(number, self.explain(error, late=late), micros)

    def explain(self, error: BaseException, *, late: bool = False) -> SkerryError:
        """Return what the caller is told of an error; the traceback goes to the log only."""
        if isinstance(error, MemoryError):
            traceback.clear_frames(error.__traceback__)  # they hold what filled the memory
        try:
            return self._explain(error, late=late)
        except Exception:  # a log that the handler has closed
            return HandlerError(f"function {self.target.function!r} failed, and so did its log")

    def _explain(self, error: BaseException, *, late: bool) -> SkerryError:
        name, target = self.target.function, self.target
        if isinstance(error, UserError):
            return error
        error_id = uuid.uuid4().hex[:12]
        answer: SkerryError
        if late:
            answer = HandlerTimeoutError(
                f"function {name!r} ran longer than its timeout of {target.timeout_s:g}s", error_id=error_id
            )
        elif isinstance(error, MemoryError):
            limit = target.memory_bytes
            allowed = f"its memory of {limit // 2**20} MiB" if limit else "the memory of the machine"
            answer = MemoryLimitError(f"function {name!r} needed more than {allowed}; raise memory", error_id=error_id)
        elif isinstance(error, HandlerError):  # its result cannot be sent, and the message says why
            answer = HandlerError(error.message, **{**error.details, "error_id": error_id})
        else:
            answer = HandlerError(
                f"function {name!r} failed; the log has the reason under error id {error_id} (skerry logs {name})",
                error_id=error_id,
            )
        sys.stderr.write(f"error {error_id} in function {name!r}\n")
        traceback.print_exception(error, file=sys.stderr)
        sys.stderr.flush()
        return answer


def find_function(app: AppObject, target: Target) -> FunctionObject:
    """Return the target's function.

    Raises:
        AppImportError: the app has no such function.
    """
    function = app.functions.get(target.function or "")
    if function is None:
        there = ", ".join(sorted(app.functions)) or "none"
        raise AppImportError(f"app {app.name!r} has no function {target.function!r}; it has: {there}")
    return function


def start_error(function: str, error: BaseException) -> tuple[StartError, str]:
    """Return what a caller is told of a worker that cannot start, and what its log is told."""
    log = "".join(traceback.format_exception(error))
    if isinstance(error, AppImportError):
        reason, log = error.message, error.details.get("traceback", "")
    elif isinstance(error, SkerryError):
        reason = error.message
    elif isinstance(error, MemoryError):
        reason = "loading it needs more than its memory; raise it"
    else:
        reason = f"{type(error).__name__} while it loaded; see skerry logs {function}"
    return StartError(f"function {function!r} cannot start: {reason}", function=function), log


def encode_problem(number: int, error: SkerryError, micros: int = 0) -> bytes:
    """Return the frame that tells of an error.

    Args:
        number: The call's.
        error: What the caller is told.
        micros: How long the handler ran, microseconds.
    """
    body, status = problem_json(error)
    return encode_frame(Kind.ERROR, number, body, meta={"status": status}, time=min(micros, MAX_TIME))


def problem_json(error: SkerryError) -> tuple[bytes, int]:
    """Return an error's problem as JSON, and its HTTP status; of one that has no such form, what can be said of it."""
    try:
        return orjson.dumps(error.to_problem(), default=str), error.http_status
    except Exception:  # whatever the handler put into the message and the details
        told = HandlerError(f"the handler raised {type(error).__name__}, whose details have no form in JSON")
        return orjson.dumps(told.to_problem()), told.http_status


def since(begun_ns: int) -> int:
    """Return the microseconds since a reading of the monotonic clock; 0 for a reading of 0."""
    return (time.monotonic_ns() - begun_ns) // 1000 if begun_ns else 0
