"""Streams: the frames of an answer that comes in pieces, and the loop of plain generators."""

from __future__ import annotations

import asyncio
import mmap
import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from skerry.errors import HandlerError
from skerry.payload import PieceForm, piece_form
from skerry.runtime.context import PLAIN
from skerry.runtime.frames import MAX_TIME, STREAM_WINDOW_BYTES, Frame, Kind, encode_frame
from skerry.runtime.handler import LoadedHandler, encode_problem, problem_json
from skerry.runtime.inbox import Inbox
from skerry.runtime.interruption import BUSY_WORD, CANCELLED_WORD, LOOPS, PROGRESS_WORD, CallCancelled
from skerry.runtime.outbox import Outbox

LOOK_NS = 10_000_000  # longest time between two looks for a cancellation
_END = object()


class Stream:
    """The answer to one call of a generator.

    Args:
        handler: The generator.
        frame: The call.

    Attributes:
        number: The call's.
        uncredited: Bytes of pieces that the caller has not taken yet.
        ran_ns: How long the generator ran, nanoseconds.
        room: Set when the caller has taken something, where the generator waits for it in an event loop.
    """

    def __init__(self, handler: LoadedHandler, frame: Frame) -> None:
        self.number = frame.number
        self.uncredited = 0
        self.ran_ns = 0
        self.room: asyncio.Event | None = None
        self._handler = handler
        self._form: PieceForm = piece_form(handler.signature, frame.meta.get("accept") or "")
        self._begun = False

    def fits(self, piece: bytes) -> bool:
        """Return whether a piece may go out; one that is larger than the window goes alone."""
        return not self.uncredited or self.uncredited + len(piece) <= STREAM_WINDOW_BYTES

    def credit(self, count: int) -> None:
        """Take note that the caller has taken ``count`` bytes."""
        self.uncredited = max(0, self.uncredited - count)
        if self.room is not None:
            self.room.set()

    def write(self, item: Any) -> bytes:
        """Return an item as a piece.

        Raises:
            HandlerError: it cannot be sent.
        """
        return self._form.write(item)

    def send(self, piece: bytes) -> bytes:
        """Return the frames that send a piece; without one, those that begin the stream."""
        self.uncredited += len(piece)
        frame = encode_frame(Kind.PIECE, self.number, piece) if piece else b""
        if self._begun:
            return frame
        self._begun = True
        return encode_frame(Kind.STREAM, self.number, meta={"content_type": self._form.content_type}) + frame

    def end(self) -> bytes:
        """Return the frames that end the stream."""
        begin = b"" if self._begun else self.send(b"")
        return begin + encode_frame(Kind.END, self.number, time=self._micros())

    def fail(self, error: BaseException, *, late: bool = False) -> bytes:
        """Return the frames that tell of an error: instead of the stream, or in the middle of it.

        Args:
            error: What ended it.
            late: Whether it was ended because it ran longer than its `timeout`.
        """
        if isinstance(error, CallCancelled):
            return self.cancelled()
        problem = self._handler.explain(error, late=late)
        piece = b""
        if self._begun and self._form.write_error is not None:
            piece = encode_frame(Kind.PIECE, self.number, self._form.write_error(problem_json(problem)[0]))
        return piece + encode_problem(self.number, problem, self._micros())

    def cancelled(self) -> bytes:
        """Return the frame that ends a stream which nobody takes any more."""
        return self._handler.answer_cancelled(self.number, self._micros())

    def _micros(self) -> int:
        return min(self.ran_ns // 1000, MAX_TIME)


class StreamLoop:
    """Answers calls of a plain generator one after the other; calls that come meanwhile wait.

    Args:
        link: The socket to the front; blocking.
        page: Memory shared with the front.
        handler: The generator, or a function that returns an iterator.
    """

    def __init__(self, link: socket.socket, page: mmap.mmap, handler: LoadedHandler) -> None:
        self._handler = handler
        self._words = memoryview(page).cast("I")
        self._inbox = Inbox(link, self._words)
        self._outbox = Outbox(link, page, self._words)
        self._waiting: deque[tuple[Frame, int]] = deque()
        self._cancelled: set[int] = set()
        self._stream: Stream | None = None
        self._looked_ns = 0
        self._cancelled_word = 0  # as it was then
        self._gone = False  # the front

    def serve(self) -> None:
        """Answer calls until the front says stop or goes away."""
        while not self._gone:
            while not self._waiting:
                frames = self._inbox.take()
                if frames is None:
                    return
                self._sort(frames, self._inbox.received_ns)
                frames.clear()  # bodies are not kept until the next ones come
            frame, received_ns = self._waiting.popleft()
            if frame.kind == Kind.STOP:
                return
            self._inbox.received_ns = received_ns
            answer = self._answer(frame)
            PLAIN.calls = None
            self._cancelled.discard(frame.number)
            del frame
            if not self._gone:
                self._outbox.send(answer)
            self._inbox.sent_ns = time.monotonic_ns()

    def _answer(self, frame: Frame) -> bytes:
        """Run a call to its end and return its last frames."""
        words, number = self._words, frame.number
        words[PROGRESS_WORD] = number
        if number in self._cancelled:
            return self._handler.answer_cancelled(number)
        if self._inbox.is_overdue(frame):
            return self._handler.answer_overdue(number)
        PLAIN.calls, PLAIN.received_s = frame, self._inbox.received_ns / 1e9
        stream = self._stream = Stream(self._handler, frame)
        items: list[Iterator[Any]] = []
        try:
            try:
                self._run(stream, frame, items)
                answer = stream.end()
            except BaseException as error:
                words[BUSY_WORD] = 0
                answer = stream.fail(error)
        except CallCancelled:  # it struck between the end of the handler and the line above
            words[BUSY_WORD] = 0
            answer = stream.cancelled()
        self._stream = None
        for iterator in items:
            self._close(iterator)
        return answer

    def _run(self, stream: Stream, frame: Frame, items: list[Iterator[Any]]) -> None:
        """Send the pieces of a call; the iterator that makes them is left in ``items``."""
        words, clock, number = self._words, time.monotonic_ns, stream.number
        args, kwargs = self._handler.decode(frame)
        begun_ns = clock()
        words[BUSY_WORD] = 1
        if words[CANCELLED_WORD] == number:  # the signal came too early
            raise CallCancelled
        iterator = self._handler.call(*args, **kwargs)
        words[BUSY_WORD] = 0
        if not isinstance(iterator, Iterator):
            raise HandlerError(
                f"the handler is annotated to return an iterator, and returned {type(iterator).__name__}"
            )
        items.append(iterator)
        while True:
            words[BUSY_WORD] = 1
            if words[CANCELLED_WORD] == number:
                raise CallCancelled
            item = next(iterator, _END)
            words[BUSY_WORD] = 0
            now_ns = clock()
            stream.ran_ns += now_ns - begun_ns
            if item is _END:
                return
            piece = stream.write(item)
            self._look(now_ns)
            while not stream.fits(piece) and number not in self._cancelled:
                self._take_in(wait=True)
            if number in self._cancelled:
                raise CallCancelled
            self._outbox.send(stream.send(piece))
            begun_ns = clock()

    def _look(self, now_ns: int) -> None:
        # Not at each piece: reading in vain costs as much as making a small one.
        word = self._words[CANCELLED_WORD]
        if now_ns - self._looked_ns > LOOK_NS or word != self._cancelled_word:
            self._looked_ns, self._cancelled_word = now_ns, word
            self._take_in(wait=False)

    def _take_in(self, *, wait: bool) -> None:
        frames = self._inbox.read(wait=wait)
        if frames is None:
            self._gone = True
            raise CallCancelled
        self._sort(frames, time.monotonic_ns())

    def _sort(self, frames: list[Frame], received_ns: int) -> None:
        for frame in frames:
            if frame.kind == Kind.CREDIT:
                if self._stream is not None and frame.number == self._stream.number:
                    self._stream.credit(frame.time)
            elif frame.kind == Kind.CANCEL:
                running = self._stream is not None and frame.number == self._stream.number
                if running or any(waiting.number == frame.number for waiting, _ in self._waiting):
                    self._cancelled.add(frame.number)
            elif frame.kind in (Kind.CALL, Kind.STOP):
                self._waiting.append((frame, received_ns))

    def _close(self, iterator: Iterator[Any]) -> None:
        close = getattr(iterator, "close", None)
        if close is None:
            return
        try:
            close()
        except BaseException as error:
            self._handler.explain(error)  # for the log: the caller has its answer


LOOPS.update(function.__code__ for function in (StreamLoop._answer, StreamLoop._run))
