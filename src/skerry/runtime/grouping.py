"""Groups: calls that one call of a handler answers together, and the loop of a plain handler that takes them.

A call whose body is wrong is answered alone and does not reach the handler. Where the handler raises, or one result
cannot be sent, the others are not to pay for it: a group that fails is run again item by item.
"""

from __future__ import annotations

import mmap
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from skerry.errors import HandlerError
from skerry.payload import Event, Items
from skerry.runtime.context import PLAIN
from skerry.runtime.frames import HEADER, MAX_TIME, Frame, Kind
from skerry.runtime.handler import UNUSUAL, LoadedHandler, since
from skerry.runtime.inbox import Inbox
from skerry.runtime.interruption import PROGRESS_WORD
from skerry.runtime.outbox import Outbox

_SPECIAL = (BaseException, Event)  # results that go out on their own


class Grouping:
    """Decodes a group into `Items`, and makes frames of its results.

    Args:
        handler: Takes `Items`.
    """

    def __init__(self, handler: LoadedHandler) -> None:
        self._handler = handler
        self._name = handler.target.function

    def decode(self, frames: Sequence[Frame]) -> tuple[list[Frame], list[Any], list[bytes]]:
        """Return the calls whose bodies are right, their values, and the answers of the others."""
        read = self._handler.signature.read_argument
        good: list[Frame] = []
        values: list[Any] = []
        answers: list[bytes] = []
        for frame in frames:
            _, number, codec, meta, body, _ = frame
            try:
                if read is None or codec or (meta and not UNUSUAL.isdisjoint(meta)):
                    values.append(self._handler.decode(frame)[0][0])
                else:
                    values.append(read(body))
                good.append(frame)
            except BaseException:
                try:
                    values.append(self._handler.decode(frame)[0][0])  # says what is wrong
                    good.append(frame)
                except BaseException as error:
                    answers.append(self._handler.answer_error(number, error))
        return good, values, answers

    def encode(self, frames: Sequence[Frame], results: Any, micros: int) -> list[bytes]:
        """Return the answers of a group.

        Args:
            frames: Its calls.
            results: What the handler returned: as many results, in the same order.
            micros: How long the handler ran, microseconds. Each answer says its share, and all together say the whole:
                what they say is what is billed.

        Raises:
            WrongResultsError: there are not as many results.
        """
        values = self._check(results, len(frames))
        spent = split_time(micros, len(frames))
        usual = not any(codec or (meta and not UNUSUAL.isdisjoint(meta)) for _, _, codec, meta, _, _ in frames)
        if usual and not any(isinstance(value, _SPECIAL) for value in values):
            # One that cannot be written leaves the way to those that can: below, only that one fails.
            with suppress(Exception):
                return self._frame(frames, self._handler.signature.encode_results(values), spent)
        return [self._encode_one(*one) for one in zip(frames, values, spent, strict=True)]

    def fail(self, frames: Sequence[Frame], error: BaseException, micros: int, *, late: bool = False) -> list[bytes]:
        """Return the answers of a group that has one error for all; the time is shared as in `encode`."""
        return [
            self._handler.answer_error(frame.number, error, late=late, micros=spent)
            for frame, spent in zip(frames, split_time(micros, len(frames)), strict=True)
        ]

    def tell_retry(self, error: BaseException, count: int) -> None:
        """Say in the log that a group failed and runs item by item."""
        try:
            reason = traceback.format_exception_only(error)[-1].strip()
            sys.stderr.write(f"function {self._name!r}: a call with {count} items failed ({reason}); each runs alone\n")
        except Exception:
            return  # a log that the handler has closed, an error that cannot be printed
        finally:
            traceback.clear_frames(error.__traceback__)  # they hold the items, and what they were made into

    def _frame(self, frames: Sequence[Frame], bodies: Sequence[bytes], spent: Sequence[int]) -> list[bytes]:
        pack, kind = HEADER.pack, int(Kind.RESULT)
        parts = []
        for (_, number, *_), body, micros in zip(frames, bodies, spent, strict=True):
            parts.append(pack(len(body), number, kind, 0, 0, min(micros, MAX_TIME)))
            parts.append(body)
        return parts

    def _encode_one(self, frame: Frame, value: Any, micros: int) -> bytes:
        try:
            if isinstance(value, BaseException):
                return self._handler.answer_error(frame.number, value, micros=micros)
            return self._handler.encode(frame, value, micros)
        except BaseException as error:
            return self._handler.answer_error(frame.number, error, micros=micros)

    def _check(self, results: Any, count: int) -> Sequence[Any]:
        if getattr(results, "ndim", 0) == 1:
            results = results.tolist()  # an array's numbers, which every codec knows
        sized = hasattr(type(results), "__len__") and hasattr(type(results), "__getitem__")
        if not sized or isinstance(results, dict | str | bytes | bytearray):
            raise self._wrong(f"{type(results).__name__}: return a list with one result for each item", count)
        if len(results) != count:
            raise self._wrong(f"{len(results)} results: return one for each item", count)
        return results  # type: ignore[no-any-return]  # checked by shape

    def _wrong(self, what: str, count: int) -> WrongResultsError:
        told = f"function {self._name!r}: the handler took {count} items and returned {what}, in their order"
        return WrongResultsError(HandlerError(told))


def split_time(micros: int, count: int) -> list[int]:
    """Return the shares of a run's items, microseconds; they differ by 1 at most, and their sum is the run's time."""
    share, rest = divmod(micros, count)
    return [share + 1] * rest + [share] * (count - rest)


class WrongResultsError(Exception):
    """A handler's results cannot be told apart: running it again would not help.

    Args:
        told: What the callers are told.
    """

    def __init__(self, told: HandlerError) -> None:
        super().__init__(told.message)
        self.told = told


class GroupLoop:
    """Answers groups one after the other, and calls outside of one as groups of one.

    Args:
        link: The socket to the front; blocking.
        page: Memory shared with the front.
        handler: What to call; takes `Items`.
    """

    def __init__(self, link: socket.socket, page: mmap.mmap, handler: LoadedHandler) -> None:
        self._handler = handler
        self._grouping = Grouping(handler)
        self._words = memoryview(page).cast("I")
        self._inbox = Inbox(link, self._words)
        self._outbox = Outbox(link, page, self._words)

    def serve(self) -> None:
        """Answer groups until the front says stop or goes away."""
        inbox = self._inbox
        group: list[Frame] = []
        wanted = 0  # calls that the group begun still lacks
        while (frames := inbox.take()) is not None:
            at = 0
            while at < len(frames):
                if wanted:
                    until = min(at + wanted, len(frames))
                    group += frames[at:until]
                    wanted -= until - at
                    at = until
                else:
                    kind, number = frames[at][:2]
                    if kind == Kind.STOP:
                        return
                    if kind == Kind.BATCH:
                        wanted = number
                    elif kind == Kind.CALL:
                        group.append(frames[at])
                    at += 1
                if group and not wanted:
                    self._outbox.send(self._answer(group, inbox.cancelled(frames)))
                    inbox.sent_ns = time.monotonic_ns()
                    group = []
            frames.clear()  # bodies are not kept until the next ones come

    def _answer(self, group: list[Frame], cancelled: set[int]) -> bytes:
        handler, inbox, answers = self._handler, self._inbox, []
        self._words[PROGRESS_WORD] = group[-1].number  # all of it has begun
        if cancelled or any(frame.time for frame in group):
            answers = [handler.answer_cancelled(frame.number) for frame in group if frame.number in cancelled]
            group = [frame for frame in group if frame.number not in cancelled]
            answers += [handler.answer_overdue(frame.number) for frame in group if inbox.is_overdue(frame)]
            group = [frame for frame in group if not inbox.is_overdue(frame)]
        PLAIN.received_s = inbox.received_ns / 1e9
        answers += self._run(group)
        PLAIN.calls = None
        return b"".join(answers)

    def _run(self, group: list[Frame]) -> list[bytes]:
        frames, values, answers = self._grouping.decode(group)
        if not frames:
            return answers
        PLAIN.calls = frames
        begun_ns = time.monotonic_ns()
        try:
            results = self._handler.call(Items(values))
            return answers + self._grouping.encode(frames, results, since(begun_ns))
        except BaseException as error:
            told = error.told if isinstance(error, WrongResultsError) else error
            if len(frames) == 1 or told is not error:
                return answers + self._grouping.fail(frames, told, since(begun_ns))
            self._grouping.tell_retry(error, len(frames))
        return answers + [answer for frame in frames for answer in self._run([frame])]
