"""The loop of a plain handler that answers calls one by one: where a worker spends its time.

Each step below is paid by every request, so the loop is written flat: no function call, attribute or copy that a plain
JSON call can do without. Whatever is unusual (metadata that change the codec, errors, cancelled calls) takes the long
way through `LoadedHandler`.
"""

from __future__ import annotations

import mmap
import socket
import time
from typing import Any

import orjson

from skerry.payload import Event
from skerry.payload.plain import json_fallback, refuse_non_finite
from skerry.runtime.context import PLAIN
from skerry.runtime.frames import HEADER, Codec, Frame, Kind
from skerry.runtime.handler import UNUSUAL, LoadedHandler, since
from skerry.runtime.inbox import Inbox
from skerry.runtime.interruption import BUSY_WORD, CANCELLED_WORD, LOOPS, PROGRESS_WORD, CallCancelled
from skerry.runtime.outbox import Outbox

HOLD_NS = 1_000_000  # answers that are ready within this time leave with one write
_CALL, _STOP, _RESULT = int(Kind.CALL), int(Kind.STOP), int(Kind.RESULT)


class CallLoop:
    """Answers calls one after the other; answers that are ready within a moment of each other leave together.

    Args:
        link: The socket to the front; blocking.
        page: Memory shared with the front.
        handler: What to call.
    """

    def __init__(self, link: socket.socket, page: mmap.mmap, handler: LoadedHandler) -> None:
        self._handler = handler
        self._words = memoryview(page).cast("I")
        self._inbox = Inbox(link, self._words)
        self._outbox = Outbox(link, page, self._words)
        signature = handler.signature
        read = signature.read_argument or _no_reader
        self._own_codec = int(Codec.EVENT) if signature.takes_event else 0  # what `read` reads besides JSON
        # What `_answer` needs, at hand with one look: it begins anew with each read.
        self._tools = (handler, handler.call, read, signature.encode_json, self._words, self._outbox)
        self._traits = (signature.writes_plain, signature.returns_event, signature.read_argument is None)

    def serve(self) -> None:
        """Answer calls until the front says stop or goes away."""
        inbox, outbox = self._inbox, self._outbox
        while (frames := inbox.take()) is not None:
            going_on = self._answer(frames)
            frames.clear()  # their bodies are not kept until the next ones come
            if outbox.held:
                outbox.send()
            inbox.sent_ns = time.monotonic_ns()
            PLAIN.calls = None
            if not going_on:
                return

    def _answer(self, frames: list[Frame]) -> bool:  # noqa: C901, PLR0912  # flat on purpose: see above
        """Answer the calls among ``frames``; return whether to go on."""
        handler, call, read, encode, words, outbox = self._tools
        plain, may_be_event, long_way = self._traits
        running, clock, dumps, pack, last = PLAIN, time.monotonic_ns, orjson.dumps, HEADER.pack, frames and frames[-1]
        inbox = self._inbox
        held_ns = ended_ns = inbox.received_ns
        running.received_s = held_ns / 1e9
        cancelled, seen = inbox.cancelled(frames), inbox.cancelled_word
        for frame in frames:
            kind, number, codec, meta, body, limit_ms = frame
            if kind != _CALL:
                if kind == _STOP:
                    return False
                continue
            if ended_ns - held_ns > HOLD_NS:
                outbox.send()
                held_ns = ended_ns
                cancelled, seen = inbox.cancelled(frames, look=True), inbox.cancelled_word
            words[PROGRESS_WORD] = number
            running.calls = frame
            begun_ns, ended_ns, value = 0, 0, None
            try:
                try:
                    if (codec or meta or limit_ms or cancelled or long_way) and self._is_unusual(frame, cancelled):
                        answer = self._answer_unusual(frame, cancelled)
                    else:
                        argument = read(body)
                        begun_ns = clock()
                        words[BUSY_WORD] = 1
                        while words[CANCELLED_WORD] != seen:  # this call, whose signal came too early, or another
                            words[BUSY_WORD] = 0
                            cancelled, seen = inbox.cancelled(frames), inbox.cancelled_word
                            if number in cancelled:
                                raise CallCancelled
                            words[BUSY_WORD] = 1
                        value = call(argument)
                        words[BUSY_WORD] = 0
                        ended_ns = clock()
                        result = dumps(value, json_fallback) if plain else encode(value)
                        # Not `in`, which tries first whether the bytes are a number, at twice the cost.
                        if plain and result.find(b"null") >= 0:
                            refuse_non_finite(value)
                        if may_be_event and isinstance(value, Event):
                            answer = handler.encode(frame, value, (ended_ns - begun_ns) // 1000)
                        else:
                            micros = (ended_ns - begun_ns) // 1000
                            answer = pack(len(result), number, _RESULT, 0, 0, micros) + result
                except BaseException as error:
                    words[BUSY_WORD] = 0
                    answer = self._answer_failed(frame, error, begun_ns, ended_ns, value)
            except CallCancelled:  # it struck between the end of the handler and the line above
                words[BUSY_WORD] = 0
                answer = handler.answer_cancelled(number, since(begun_ns))
            ended_ns = ended_ns or clock()
            if frame is last:
                outbox.send(answer)
            else:
                outbox.hold(answer)
        return True

    def _is_unusual(self, frame: Frame, cancelled: set[int]) -> bool:
        """Return whether a call needs more than the short way."""
        return (
            self._handler.signature.read_argument is None
            or frame.codec not in (0, self._own_codec)
            or frame.number in cancelled
            or not UNUSUAL.isdisjoint(frame.meta)
            or self._inbox.is_overdue(frame)
        )

    def _answer_unusual(self, frame: Frame, cancelled: set[int]) -> bytes:
        """Answer a call the long way."""
        handler, words, begun_ns = self._handler, self._words, 0
        if frame.number in cancelled:
            return handler.answer_cancelled(frame.number)
        if self._inbox.is_overdue(frame):
            return handler.answer_overdue(frame.number)
        try:
            try:
                args, kwargs = handler.decode(frame)
                begun_ns = time.monotonic_ns()
                words[BUSY_WORD] = 1
                if words[CANCELLED_WORD] == frame.number:
                    raise CallCancelled
                value = handler.call(*args, **kwargs)
                words[BUSY_WORD] = 0
                return handler.encode(frame, value, since(begun_ns))
            except BaseException as error:
                words[BUSY_WORD] = 0
                return handler.answer_error(frame.number, error, micros=since(begun_ns))
        except CallCancelled:
            words[BUSY_WORD] = 0
            return handler.answer_cancelled(frame.number, since(begun_ns))

    def _answer_failed(self, frame: Frame, error: BaseException, begun_ns: int, ended_ns: int, value: Any) -> bytes:
        """Answer a call that failed on the short way; where a codec did, the long way says what is wrong."""
        if not begun_ns:
            return self._answer_unusual(frame, set())
        if not ended_ns:
            return self._handler.answer_error(frame.number, error, micros=since(begun_ns))
        micros = (ended_ns - begun_ns) // 1000
        try:
            return self._handler.encode(frame, value, micros)
        except BaseException as refusal:
            return self._handler.answer_error(frame.number, refusal, micros=micros)


def _no_reader(body: bytes) -> Any:
    raise AssertionError("handlers without a reader take the long way")


LOOPS.update(function.__code__ for function in (CallLoop._answer, CallLoop._answer_unusual))
