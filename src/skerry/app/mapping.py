"""Many calls at a time, with results in the order of their inputs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from skerry.errors import SkerryError
from skerry.platforms.base import Cancellation

T = TypeVar("T")
R = TypeVar("R")

# How many results may wait for an earlier one, per call in flight: one slow call then does not idle the others.
WAITING_PER_CALL = 4


class _Slot(Generic[T, R]):
    __slots__ = ("done", "error", "item", "value")

    def __init__(self, item: T) -> None:
        self.item = item
        self.done = False
        self.value: R | None = None
        self.error: BaseException | None = None


class _Crew(Generic[T, R]):
    """Threads that take slots from a queue and fill them; started one by one, as there is work for them."""

    def __init__(self, call: Callable[[T, Cancellation], R], size: int) -> None:
        self.changed = threading.Condition()
        self.running = 0
        self._call = call
        self._size = size
        self._threads = 0
        self._idle = 0
        self._pending: deque[_Slot[T, R]] = deque()
        self._closed = False
        self._cancellation = Cancellation()

    def start(self, slot: _Slot[T, R]) -> None:
        """Give a slot to an idle thread, or to a new one; the caller holds ``changed``."""
        self.running += 1
        self._pending.append(slot)
        if self._idle < len(self._pending) and self._threads < self._size:
            self._threads += 1
            # A daemon: a program that ends in the middle of a map does not wait for its calls.
            threading.Thread(target=self._work, name="skerry-map", daemon=True).start()
        self.changed.notify_all()

    def close(self) -> None:
        """End the calls that still run, and the threads."""
        with self.changed:
            self._closed = True
            self._pending.clear()
            self.changed.notify_all()
        self._cancellation.cancel()

    def _work(self) -> None:
        while True:
            with self.changed:
                self._idle += 1
                while not self._pending and not self._closed:
                    self.changed.wait()
                self._idle -= 1
                if self._closed:
                    return
                slot = self._pending.popleft()
            try:
                slot.value = self._call(slot.item, self._cancellation)
            except BaseException as error:
                slot.error = error
            with self.changed:
                slot.done = True
                self.running -= 1
                self.changed.notify_all()


def map_calls(
    call: Callable[[T, Cancellation], R], items: Iterable[T], *, in_flight: int, return_errors: bool
) -> Iterator[R | SkerryError]:
    """Yield ``call(item)`` for every item, in the order of the items, each as soon as its turn has come.

    Items are taken while the caller waits for a result, never more than needed: at most ``in_flight`` calls run, and at
    most `WAITING_PER_CALL` times as many items are started and not yet yielded. Closing the iterator ends the calls.
    Items are taken in the caller's thread, as by the built-in ``map``, so a source that blocks holds results back too.
    An error of the source is raised in its turn, after the results of the items that came before it.

    Args:
        call: Called in threads, with a switch that ends it.
        items: Iterated in the caller's thread.
        in_flight: Most calls at a time, from 1.
        return_errors: Whether a `SkerryError` is yielded in place of its result instead of raised.
    """
    crew: _Crew[T, R] = _Crew(call, in_flight)
    window: deque[_Slot[T, R]] = deque()
    source: Iterator[Any] = iter(items)
    exhausted = False
    source_error: Exception | None = None
    try:
        while True:
            while not exhausted and len(window) < in_flight * WAITING_PER_CALL:
                with crew.changed:
                    if crew.running >= in_flight:
                        break
                # Outside the lock: the items may be slow to come, and the calls should end meanwhile.
                try:
                    slot: _Slot[T, R] = _Slot(next(source))
                except StopIteration:
                    exhausted = True
                    break
                except Exception as error:  # its turn comes after the results of the items before it
                    exhausted, source_error = True, error
                    break
                window.append(slot)
                with crew.changed:
                    crew.start(slot)
                if window[0].done:
                    break
            if not window:
                if source_error is not None:
                    raise source_error
                return
            with crew.changed:
                # Woken by any call that ends: either the first result is there, or there is room for one more call.
                while not window[0].done and (
                    exhausted or crew.running >= in_flight or len(window) >= in_flight * WAITING_PER_CALL
                ):
                    crew.changed.wait()
            if window[0].done:
                result: R | SkerryError = _take(window.popleft(), return_errors=return_errors)
                yield result
    finally:
        crew.close()


def _take(slot: _Slot[Any, R], *, return_errors: bool) -> R | SkerryError:
    if slot.error is None:
        return slot.value  # type: ignore[return-value]  # a slot that is done without an error holds the call's value
    if return_errors and isinstance(slot.error, SkerryError):
        return slot.error
    raise slot.error
