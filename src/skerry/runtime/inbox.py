"""A worker's calls on their way from the front, read without waiting where the next one comes soon."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from select import POLLIN, poll  # before any code of an app, which may take it away, as eventlet does

from skerry.runtime.frames import READ_BYTES, READ_ON_BYTES, Frame, FrameReader, Kind
from skerry.runtime.interruption import CANCELLED_WORD, PROGRESS_WORD
from skerry.runtime.memory import PERIOD_S, return_memory

SPIN_NS = 160_000  # longest time to look for the next call before the process sleeps: waking it takes about as long
_NEAR_NS = 4 * SPIN_NS  # smoothed gap up to which looking is tried: it shortens the gap itself
_LONG_GAP_NS = 10 * SPIN_NS
_FEW = 4  # calls that a read may bring for looking to be tried
_WORTH_IT = 0.25  # smoothed share of looks that must succeed
_FORGIVENESS = 0.002  # what that share rises by with each call that was not looked for, so that it is tried again
_RETURN_NS = int(PERIOD_S * 1e9)
_CANCEL, _BATCH = int(Kind.CANCEL), int(Kind.BATCH)


class Inbox:
    """Frames of the front, in order.

    A worker that has answered a few calls looks for the next one for up to `SPIN_NS` before it lets the system put it
    to sleep, as long as calls come soon after answers, and enough looks find one. Where many come at a time, it sleeps
    at once: the processor is then wanted by those who make the next ones.

    Half a minute after a large body it has the C library return free memory to the system: such bodies leave holes, and
    a worker would stay as large as the largest of them have made it.

    Args:
        link: The socket to the front; blocking.
        words: The shared page, as 32-bit numbers.

    Attributes:
        received_ns: When the frames were read that `take` returned last, monotonic clock, nanoseconds.
        cancelled_word: What the shared page told of cancellations when `cancelled` looked last.
        sent_ns: When the last answer left; set by the loop.
    """

    __slots__ = (
        "_cancelled",
        "_few",
        "_gap_ns",
        "_kept",
        "_link",
        "_luck",
        "_poll",
        "_reader",
        "_return_at_ns",
        "_words",
        "cancelled_word",
        "received_ns",
        "sent_ns",
    )

    def __init__(self, link: socket.socket, words: memoryview) -> None:
        self._link = link
        poller = poll()
        poller.register(link.fileno(), POLLIN)
        self._poll = poller.poll
        self._words = words
        self._cancelled: set[int] = set()
        self.cancelled_word = 0
        self._reader = FrameReader()
        self._kept: deque[tuple[list[Frame], int]] = deque()
        self._few = True  # the last read brought few calls
        self._gap_ns = _LONG_GAP_NS
        self._luck = 1.0
        self._return_at_ns = 0  # when memory is to be returned; 0 for never
        self.received_ns = self.sent_ns = time.monotonic_ns()

    def take(self) -> list[Frame] | None:
        """Return the next frames, none or more; None when the front has gone away."""
        if self._kept:
            frames, self.received_ns = self._kept.popleft()
            return frames
        looks = self._few and self._gap_ns < _NEAR_NS and self._luck >= _WORTH_IT
        data = self._spin() if looks else self._receive(self._reader.read_bytes)
        if not data:
            return None
        now_ns = self.received_ns = time.monotonic_ns()
        if len(data) >= READ_BYTES:
            self._note_large()
        gap_ns = now_ns - self.sent_ns
        self._gap_ns += (min(gap_ns, _LONG_GAP_NS) - self._gap_ns) // 4
        if looks:
            self._luck += ((gap_ns < SPIN_NS) - self._luck) / 16
        elif self._luck < _WORTH_IT:
            self._luck += _FORGIVENESS
        frames = self._reader.feed(data)
        self._few = len(frames) <= _FEW or (len(frames) == _FEW + 1 and frames[0].kind == _BATCH)
        return frames

    def keep(self, frames: list[Frame], received_ns: int) -> None:
        """Put frames that were read too early behind those that wait."""
        if frames:
            self._kept.append((frames, received_ns))

    def read(self, *, wait: bool) -> list[Frame] | None:
        """Return frames that have just come, ahead of those that were kept; None when the front has gone away.

        Args:
            wait: Whether to wait for some bytes; otherwise there may be none.
        """
        try:
            # Cancellations may lie behind much.
            data = self._receive(READ_ON_BYTES) if wait else self._link.recv(READ_ON_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        if len(data) >= READ_BYTES:
            self._note_large()
        return self._reader.feed(data) if data else None

    def cancelled(self, rest: list[Frame], *, look: bool = False) -> set[int]:
        """Return the numbers of calls that the front has cancelled, and that may not have begun.

        Args:
            rest: The frames that the loop has in hand.
            look: Whether to read on even if the shared page tells of nothing new: of several cancellations it tells
                the last one only.
        """
        word = self._words[CANCELLED_WORD]
        if look or word != self.cancelled_word:  # the front writes it before it sends the frame
            self.cancelled_word = word
            self.keep(self.read(wait=False) or [], time.monotonic_ns())
            self._cancelled = {frame.number for frame in rest if frame.kind == _CANCEL} | {word}
            for frames, _ in self._kept:
                self._cancelled.update(frame.number for frame in frames if frame.kind == _CANCEL)
        elif self._cancelled:  # numbers grow, and those up to the last that began are settled
            begun = self._words[PROGRESS_WORD]
            self._cancelled = {number for number in self._cancelled if 0 < (number - begun) % 2**32 < 2**31}
        return self._cancelled

    def is_overdue(self, frame: Frame) -> bool:
        """Return whether the deadline of a call among the frames taken last has passed."""
        return frame.time > 0 and time.monotonic_ns() - self.received_ns >= frame.time * 1_000_000

    def _receive(self, size_bytes: int) -> bytes:
        """Return what comes next.

        A process that sleeps in `recv` is woken when the other end reads its answers as well, for it might have waited
        for room to write. One that sleeps in `poll` is not: that saves two switches and a wake for each batch.
        """
        if not self._return_at_ns or not self._comes_before_return():
            self._poll()
        return self._link.recv(size_bytes)

    def _note_large(self) -> None:
        self._return_at_ns = self._return_at_ns or time.monotonic_ns() + _RETURN_NS

    def _comes_before_return(self) -> bool:
        """Wait until something comes, or it is time to return memory, which is then done; whether something came."""
        left_ns = self._return_at_ns - time.monotonic_ns()
        if left_ns > 0 and self._poll(-(-left_ns // 1_000_000)):
            return True
        self._return_at_ns = 0
        return_memory()
        return False

    def _spin(self) -> bytes:
        receive, clock, give_way = self._link.recv, time.monotonic_ns, os.sched_yield
        size_bytes = self._reader.read_bytes
        until_ns = self.sent_ns + SPIN_NS
        while True:
            try:
                return receive(size_bytes, socket.MSG_DONTWAIT)
            except BlockingIOError:
                give_way()
            if clock() > until_ns:
                return self._receive(size_bytes)
