"""A function's handler inside a worker: loaded once, called with decoded arguments, its errors made into answers."""

from __future__ import annotations

import asyncio
import sys
import traceback
import uuid
from collections.abc import Callable
from typing import Any

import orjson

from skerry.errors import (
    AppImportError,
    HandlerError,
    HandlerTimeoutError,
    MemoryLimitError,
    SkerryError,
    StartError,
    UserError,
)
from skerry.payload import JSON, Signature
from skerry.runtime.concurrency import check_concurrency, is_async
from skerry.runtime.frames import CODEC_OF, CONTENT_TYPE_OF, Codec, Frame, Kind, encode_frame
from skerry.runtime.target import FunctionObject, Target, load_app


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

    def run(self, frame: Frame) -> bytes:
        """Run a call with a plain handler and return the frame of its answer."""
        try:
            if frame.codec == Codec.JSON and not frame.meta and not self.signature.returns_event:
                args, kwargs = self.signature.decode_json(frame.body)
                body = self.signature.encode_json(self.call(*args, **kwargs))
                return encode_frame(Kind.RESULT, frame.number, body)
            args, kwargs = self._decode(frame)
            return self._encode(frame, self.call(*args, **kwargs))
        except BaseException as error:
            return self.answer_error(frame.number, error)

    async def run_async(self, frame: Frame) -> bytes:
        """Run a call with an async handler and return the frame of its answer."""
        limit = asyncio.timeout(self.target.timeout_s)
        try:
            args, kwargs = self._decode(frame)
            async with limit:
                value = await self.call(*args, **kwargs)
            return self._encode(frame, value)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                return self.answer_cancelled(frame.number)
            return self.answer_error(frame.number, error)
        except BaseException as error:
            return self.answer_error(frame.number, error, late=limit.expired())

    def answer_cancelled(self, number: int) -> bytes:
        """Return the frame that ends a call which nobody waits for any more."""
        return _encode_problem(number, HandlerError(f"function {self.target.function!r}: the request was cancelled"))

    def answer_error(self, number: int, error: BaseException, *, late: bool = False) -> bytes:
        """Return the frame that tells the caller of ``error``; the traceback goes to the log only.

        Args:
            number: The call's.
            error: What the handler raised.
            late: Whether it was ended because it ran longer than its `timeout`.
        """
        if isinstance(error, MemoryError):
            traceback.clear_frames(error.__traceback__)  # they hold what filled the memory
        try:
            return self._tell_error(number, error, late=late)
        except Exception:  # details that have no JSON form, or a log that the handler has closed
            return _encode_problem(
                number, HandlerError(f"function {self.target.function!r} failed, and so did its log")
            )

    def _tell_error(self, number: int, error: BaseException, *, late: bool) -> bytes:
        name, target = self.target.function, self.target
        if isinstance(error, UserError):
            return _encode_problem(number, error)
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
        return _encode_problem(number, answer)

    def _decode(self, frame: Frame) -> tuple[tuple[Any, ...], dict[str, Any]]:
        content_type = frame.meta.get("content_type") or CONTENT_TYPE_OF[Codec(frame.codec)]
        return self.signature.decode_call(frame.body, content_type, frame.meta.get("headers"))

    def _encode(self, frame: Frame, value: Any) -> bytes:
        wanted = frame.meta.get("accept") or JSON
        body, content_type, headers = self.signature.encode_result(value, wanted)
        codec = CODEC_OF.get(content_type, Codec.OTHER)
        meta: dict[str, Any] = {}
        if codec == Codec.OTHER:
            meta["content_type"] = content_type
        if headers:
            meta["headers"] = headers
        return encode_frame(Kind.RESULT, frame.number, body, codec=codec, meta=meta)


def find_function(target: Target) -> FunctionObject:
    """Import the app and return the target's function.

    Raises:
        AppImportError: the import fails, or the app has no such function.
    """
    app = load_app(target)
    function = app.functions.get(target.function or "")
    if function is None:
        there = ", ".join(sorted(app.functions)) or "none"
        raise AppImportError(f"app {app.name!r} has no function {target.function!r}; it has: {there}")
    return function


def start_error(function: str, error: BaseException) -> tuple[StartError, str]:
    """Return what a caller is told of a worker that cannot start, and what its log is told."""
    if isinstance(error, AppImportError):
        return StartError(f"function {function!r} cannot start: {error.message}"), error.details.get("traceback", "")
    log = "".join(traceback.format_exception(error))
    if isinstance(error, SkerryError):
        return StartError(f"function {function!r} cannot start: {error.message}"), log
    if isinstance(error, MemoryError):
        return StartError(f"function {function!r} cannot start: loading it needs more than its memory; raise it"), log
    reason = f"{type(error).__name__} while it loaded"
    return StartError(f"function {function!r} cannot start: {reason}; see skerry logs {function}"), log


def _encode_problem(number: int, error: SkerryError) -> bytes:
    problem = orjson.dumps(error.to_problem(), default=str)
    return encode_frame(Kind.ERROR, number, problem, meta={"status": error.http_status})
