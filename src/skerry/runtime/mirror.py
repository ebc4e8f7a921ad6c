"""Mirrored traffic: a version gets copies of requests, and only a report hears its answers.

The caller's request goes first and its answer is not held up: the copy is handed over at the end of the turn of the
loop, at the lowest urgency; the answers are compared in a later turn. No more than `MOST_OPEN` copies are open at a
time; beyond that, requests are not copied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from skerry.errors import SkerryError
from skerry.runtime.call import Call
from skerry.runtime.comparison import ComparisonReport
from skerry.runtime.exchange import Exchange
from skerry.runtime.frames import Frame, Kind
from skerry.runtime.pool import WorkerPool

logger = logging.getLogger(__name__)
MOST_OPEN = 32
LOWEST_URGENCY = 7
WHOLE = 10_000
TRACE = frozenset({"traceparent", "tracestate"})  # a copy is no part of its caller's trace


class Mirror:
    """Sends copies of requests to a pool.

    Args:
        pool: Who answers them.
        sample_ratio: Share of the requests that is copied, 0 to 1.
        most_open: Most copies without an answer.
        report: Where comparisons are counted; one of its own by default.
        soon: Runs a callable in a later turn of the loop.
    """

    def __init__(
        self,
        pool: WorkerPool,
        *,
        sample_ratio: float = 1.0,
        most_open: int = MOST_OPEN,
        report: ComparisonReport | None = None,
        soon: Callable[..., Any] | None = None,
    ) -> None:
        self.pool = pool
        self.report = ComparisonReport() if report is None else report
        self.sample_ratio = sample_ratio
        self.open = 0
        self._most_open = most_open
        self._step = round(sample_ratio * WHOLE)
        self._due = 0
        self._soon = soon or asyncio.get_running_loop().call_soon

    def wants(self) -> bool:
        """Whether the next request is to be copied: evenly, and exactly as often as the ratio says."""
        self._due += self._step
        if self._due < WHOLE:
            return False
        self._due -= WHOLE
        return True

    def watch(self, exchange: Exchange) -> Pair:
        """Have the answer of a request seen when it comes; `send` its copy once somebody has taken the request."""
        pair = Pair(exchange.body, self._compare)
        exchange.watcher = pair
        return pair

    def send(self, exchange: Exchange, pair: Pair) -> None:
        """Send the copy of a request, unless too many are open; whatever fails here, the caller does not notice."""
        try:
            if self._send(exchange, pair):
                self.report.sent += 1
                return
        except SkerryError:
            self.open -= 1  # the pool takes nothing more
        except Exception:
            logger.exception("function %r: a request was not mirrored", self.pool.spec.name)
        self.report.dropped += 1
        exchange.watcher = None

    def _send(self, exchange: Exchange, pair: Pair) -> bool:
        dispatcher = self.pool.dispatcher
        if self.open >= self._most_open or dispatcher.queued >= self._most_open or dispatcher.refusal is not None:
            return False
        copy = Copy(exchange, pair, self)
        self.open += 1
        # Not `take`, which may look for the answer: the caller's own would wait for that.
        dispatcher.offer(copy)
        self.pool.wake()
        return True

    def _compare(self, pair: Pair) -> None:
        self._soon(_add, self.report, pair)


class Pair:
    """The answers to a request and to its copy, until both are there.

    Args:
        request: The request's body.
        on_both: Called with the pair when both answers are there.
    """

    __slots__ = ("_on_both", "primary", "request", "shadow")

    def __init__(self, request: bytes, on_both: Callable[[Pair], None]) -> None:
        self.request = request
        self.primary: Frame | SkerryError | None = None
        self.shadow: Frame | SkerryError | None = None
        self._on_both = on_both

    def answered(self, exchange: Exchange, answer: Frame | SkerryError) -> bool:
        """See the caller's answer, which goes on its way."""
        self.primary = answer
        if self.shadow is not None:
            self._on_both(self)
        return False

    def shadow_answered(self, answer: Frame | SkerryError) -> None:
        """Take the answer to the copy."""
        self.shadow = answer
        if self.primary is not None:
            self._on_both(self)


class Copy(Call):
    """The copy of a request: nobody waits for its answer.

    Args:
        exchange: The request; its caller's deadline is not the copy's.
        pair: Takes the answer.
        mirror: Who has sent it.
    """

    urgency = LOWEST_URGENCY

    def __init__(self, exchange: Exchange, pair: Pair, mirror: Mirror) -> None:
        meta = exchange.meta
        if not TRACE.isdisjoint(meta):
            meta = {key: value for key, value in meta.items() if key not in TRACE}
        super().__init__(exchange.body, exchange.codec, meta, pair.shadow_answered)
        self.group = exchange.group
        self.weight = exchange.weight
        self._mirror = mirror

    def on_answer(self, answer: Frame | SkerryError) -> None:
        """Hand the answer to the comparison."""
        self._mirror.open -= 1
        super().on_answer(answer)

    def on_piece(self, frame: Frame) -> None:
        """Drop a piece of a stream, and let the worker go on."""
        if frame.kind == Kind.PIECE and frame.body:
            self._mirror.pool.credit(self, len(frame.body))


def _add(report: ComparisonReport, pair: Pair) -> None:
    if pair.primary is not None and pair.shadow is not None:
        report.add(pair.request, pair.primary, pair.shadow)
