"""Threads that talk to the clients of a round, and one queue of what they bring."""

from __future__ import annotations

import ctypes
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from skerry.errors import SkerryError

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc
HEAPS = 2
MAPPED_BYTES = 1 << 18  # a block from here on is given back to the system when it is freed


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one client's task.

    Args:
        client: Whose.
        round: Of which round.
        value: What the call returned; none if it failed.
        error: Why it failed.
    """

    client: str
    round: int
    value: Any = None
    error: SkerryError | None = None


class Outcomes:
    """A queue with little room: who brings an outcome waits until there is some, so replies do not pile up in memory.

    Args:
        room: Most outcomes that wait to be taken, with those that are being read.
    """

    def __init__(self, room: int) -> None:
        self._room = threading.Semaphore(room)
        self._entered: set[int] = set()  # threads
        self._closed = False
        self._waiting: queue.SimpleQueue[Outcome] = queue.SimpleQueue()

    def enter(self) -> None:
        """Wait for room, before this thread reads what its next outcome is made of."""
        me = threading.get_ident()
        if me in self._entered:
            return
        self._room.acquire()
        if self._closed:
            self._room.release()  # lets the next one in, and that one the one after it
        self._entered.add(me)

    def leave(self) -> None:
        """Give the room back: what this thread has read is no outcome."""
        me = threading.get_ident()
        if me in self._entered:
            self._entered.discard(me)
            self._room.release()

    def put(self, outcome: Outcome) -> None:
        """Bring an outcome, once there is room."""
        self.enter()
        self._entered.discard(threading.get_ident())
        self._waiting.put(outcome)

    def get(self, timeout: float) -> Outcome:
        """Take the outcome that has waited longest.

        Args:
            timeout: How long to wait for one, in seconds.

        Raises:
            queue.Empty: none came.
        """
        outcome = self._waiting.get(timeout=timeout)
        self._room.release()
        return outcome

    def close(self) -> None:
        """Let everybody in: nobody takes outcomes any more, and who brings one is not to wait for ever."""
        self._closed = True
        self._room.release()


class Threads:
    """Threads that are there for the next call when theirs has ended: starting one takes as long as a short round."""

    def __init__(self) -> None:
        _keep_heaps_small()
        self._lock = threading.Lock()
        self._idle = 0
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def start(self, call: Callable[[], None]) -> None:
        """Call something in a thread that has nothing to do, or in a new one."""
        with self._lock:
            if self._idle:
                self._idle -= 1
                self._calls.put(call)
                return
        # A daemon: a coordinator that ends does not wait for a client that does not.
        threading.Thread(target=self._work, args=(call,), name="skerry-round", daemon=True).start()

    def close(self) -> None:
        """End the threads that have nothing to do."""
        with self._lock:
            for _ in range(self._idle):
                self._calls.put(None)
            self._idle = 0

    def _work(self, first: Callable[[], None]) -> None:
        call: Callable[[], None] | None = first
        while call is not None:
            call()
            with self._lock:
                self._idle += 1
            call = self._calls.get()


class Crew:
    """Calls clients one after the other in a few threads; made for one round, and none waits for it to end.

    Args:
        round: The round.
        clients: Who is called, in this order.
        call: Calls one.
        outcomes: Where outcomes go; may be shared with other rounds, whose late ones come there too.
        threads: What it runs in.
        size: Most threads.
    """

    def __init__(
        self,
        round: int,
        clients: Iterable[str],
        call: Callable[[str], Any],
        outcomes: queue.SimpleQueue[Outcome] | Outcomes,
        *,
        threads: Threads,
        size: int,
    ) -> None:
        self._round = round
        self._waiting = deque(clients)
        self._call = call
        self._outcomes = outcomes
        for _ in range(min(size, len(self._waiting))):
            threads.start(self._work)

    def close(self) -> tuple[str, ...]:
        """Call nobody more; return who has not been called."""
        left = []
        while self._waiting:
            try:
                left.append(self._waiting.popleft())
            except IndexError:
                break
        return tuple(left)

    def _work(self) -> None:
        while True:
            try:
                client = self._waiting.popleft()
            except IndexError:
                return
            self._outcomes.put(self._ask(client))

    def _ask(self, client: str) -> Outcome:
        try:
            return Outcome(client=client, round=self._round, value=self._call(client))
        except SkerryError as error:
            return Outcome(client=client, round=self._round, error=error)


def _keep_heaps_small() -> None:
    """Keep what large messages take out of the heaps, which do not shrink, and have threads share the heaps."""
    try:
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, HEAPS)
        # Said once, it stays: by itself, glibc raises it to the size of the largest message that was freed.
        library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
    except AttributeError:  # a C library without it has no such heaps either
        return
