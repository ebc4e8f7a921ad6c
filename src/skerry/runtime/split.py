"""A split: the requests of one function go to several versions, by weight.

It stands in the front where a pool would stand. A request that comes is given to one lane's pool, and is that pool's
from then on. The stable lane takes what the others do not get, what they refuse, and what they have accepted and cannot
begin any more: no request is lost because a candidate is broken.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from skerry.errors import DeadlineExceededError, SkerryError
from skerry.runtime.call import Call
from skerry.runtime.dispatcher import Dispatcher
from skerry.runtime.exchange import Exchange
from skerry.runtime.frames import Frame
from skerry.runtime.mirror import Mirror
from skerry.runtime.pool import WorkerPool
from skerry.runtime.server_timing import Start
from skerry.spec import FunctionSpec

WHOLE = 10_000  # weights are counted in parts of this, so that shares are exact
STABLE = "stable"


class Lane:
    """One version of a function, and its part of the traffic.

    Args:
        name: Its name.
        pool: Who answers.
        weight: Its part of `WHOLE`.
    """

    __slots__ = ("credit", "moved", "name", "pool", "rescue", "taken", "weight")

    def __init__(self, name: str, pool: WorkerPool, weight: int) -> None:
        self.name = name
        self.pool = pool
        self.weight = weight
        self.rescue: Rescue | None = None  # none where there is nowhere else to go
        self.credit = 0  # of the weighted round robin
        self.taken = 0  # requests that it was given, those that moved on included
        self.moved = 0  # requests that it refused or gave back, and that the stable lane has taken

    def describe(self) -> dict[str, Any]:
        """Return the lane as plain values."""
        return {"weight_ratio": self.weight / WHOLE, "taken": self.taken, "moved": self.moved}


class Split:
    """Divides the requests of a function between lanes.

    Args:
        stable: Who answers what no other lane gets.

    Example:
        ``split = Split(pool); split.add("candidate", other, weight_ratio=0.05); front.add_function(split)``
    """

    def __init__(self, stable: WorkerPool) -> None:
        self.stable = Lane(STABLE, stable, WHOLE)
        self.mirror: Mirror | None = None
        self._sticky: bytes | None = None
        self._others: dict[str, Lane] = {}
        self._turns: list[Lane] = [self.stable]  # lanes with a weight, the stable one last

    # What the front needs of a pool

    @property
    def spec(self) -> FunctionSpec:
        """The stable lane's options."""
        return self.stable.pool.spec

    @property
    def dispatcher(self) -> Dispatcher:
        """The stable lane's queue: while it refuses, the front looks for what may have taken over."""
        return self.stable.pool.dispatcher

    def take(self, exchange: Exchange) -> None:
        """Give a request to a lane.

        Raises:
            SkerryError: the stable lane does not take it; see `WorkerPool.take`.
        """
        lane = self._turns[0] if len(self._turns) == 1 else self._next(exchange)
        lane.taken += 1
        if lane is not self.stable:
            exchange.pool, exchange.watcher = lane.pool, lane.rescue
            try:
                lane.pool.take(exchange)
                return
            except SkerryError:  # its queue is full, or it cannot start
                exchange.watcher = None
                lane.moved += 1
        pool = exchange.pool = self.stable.pool
        mirror = self.mirror
        if mirror is None or not mirror.wants():
            pool.take(exchange)
            return
        pair = mirror.watch(exchange)
        pool.take(exchange)
        mirror.send(exchange, pair)

    def choose(self) -> WorkerPool:
        """Return the pool of the lane whose turn it is, for what is no request of a connection: a job."""
        lane = self._turns[0] if len(self._turns) == 1 else self._by_turn()
        dispatcher = lane.pool.dispatcher
        if dispatcher.refusal is not None or dispatcher.queued >= max(1, dispatcher.spec.queue):
            lane = self.stable
        lane.taken += 1
        return lane.pool

    # Lanes come and go

    def add(self, name: str, pool: WorkerPool, *, weight_ratio: float = 0.0) -> None:
        """Add a lane.

        Args:
            name: Its name; there is none of that name.
            pool: Who answers.
            weight_ratio: Its share of the requests, 0 to 1.
        """
        lane = self._others[name] = Lane(name, pool, 0)
        lane.rescue = Rescue(self, lane)
        self.weigh(name, weight_ratio)

    def weigh(self, name: str, weight_ratio: float) -> None:
        """Set the share of a lane; the stable one gets what is left.

        Args:
            name: A lane that is not the stable one.
            weight_ratio: 0 to 1, in steps of 0.0001; all of them together at most 1.
        """
        self._others[name].weight = round(weight_ratio * WHOLE)
        self._settle()

    def stick_to(self, header: str | None) -> None:
        """Send requests with the same value of a header to the same lane from now on; none to take turns only."""
        self._sticky = None if header is None else header.lower().encode("latin-1")

    def remove(self, name: str) -> None:
        """Give a lane nothing more; what it has, it finishes, and what it cannot begin goes to the stable one."""
        del self._others[name]
        self._settle()

    def settle_on(self, pool: WorkerPool) -> None:
        """Give everything to one pool, the stable one from now on; there are no other lanes and no copies."""
        self.mirror = None
        self._others.clear()
        self.stable = Lane(STABLE, pool, WHOLE)
        self._turns = [self.stable]

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the lanes by name as plain values."""
        return {lane.name: lane.describe() for lane in (self.stable, *self._others.values())}

    # Inside

    def _settle(self) -> None:
        self.stable.weight = WHOLE - sum(lane.weight for lane in self._others.values())
        lanes = [*self._others.values(), self.stable]
        self._turns = [lane for lane in lanes if lane.weight > 0] or [self.stable]
        for lane in lanes:
            lane.credit = 0

    def _next(self, exchange: Exchange) -> Lane:
        lane = None if self._sticky is None else self._by_value(exchange)
        if lane is None:
            lane = self._by_turn()
        return self.stable if lane.pool.dispatcher.refusal is not None else lane

    def _by_turn(self) -> Lane:
        """Return the lane whose turn it is.

        Source: nginx, "Upstream: smooth weighted round-robin balancing" (2012):
        each lane is credited its weight, the one with the most credit is taken, and pays the sum of the weights.
        """
        best = self.stable
        most = -WHOLE
        for lane in self._turns:
            lane.credit += lane.weight
            if lane.credit > most:
                best, most = lane, lane.credit
        best.credit -= WHOLE
        return best

    def _by_value(self, exchange: Exchange) -> Lane | None:
        """Return the lane of a request by its header: a lane that grows keeps the values that it had."""
        for name, value in exchange.headers:
            if name == self._sticky:
                point = int.from_bytes(blake2b(value, digest_size=8).digest()) % WHOLE
                for lane in self._turns:
                    point -= lane.weight
                    if point < 0:
                        return lane
        return None

    def move(self, exchange: Exchange, lane: Lane) -> bool:
        """Give a request to the stable lane that another one has accepted and cannot begin; whether that took it."""
        left_s = None
        if exchange.deadline_s is not None:
            left_s = exchange.deadline_s - time.monotonic()
            if left_s <= 0:
                return False
        moved = _Moved(exchange, self.stable.pool, left_s)
        exchange.watcher = None
        try:
            moved.pool.take(moved)
        except SkerryError:
            return False
        exchange.pool = moved
        lane.moved += 1
        return True


class Rescue:
    """Sees the answers of a lane that is not trusted yet.

    Args:
        split: Where requests may go instead.
        lane: Who has accepted them.
    """

    __slots__ = ("_lane", "_split")

    def __init__(self, split: Split, lane: Lane) -> None:
        self._split = split
        self._lane = lane

    def answered(self, exchange: Exchange, answer: Frame | SkerryError) -> bool:
        """Move a request on that was never begun; whether it was moved, and so is not answered yet."""
        never_begun = isinstance(answer, SkerryError) and not exchange.attempts
        if not never_begun or isinstance(answer, DeadlineExceededError):
            return False
        return self._lane.pool is not self._split.stable.pool and self._split.move(exchange, self._lane)


class _Moved(Call):
    """A request that has moved on: a call of its own, since the first one is over for those who counted it.

    Args:
        exchange: The request.
        pool: Who has it now.
        timeout_s: What is left of its caller's deadline, none without one.
    """

    def __init__(self, exchange: Exchange, pool: WorkerPool, timeout_s: float | None) -> None:
        super().__init__(exchange.body, exchange.codec, exchange.meta, exchange.on_answer)
        self.timeout_s = timeout_s
        self.urgency = exchange.urgency
        self.group = exchange.group
        self.weight = exchange.weight
        self.pool = pool
        self._exchange = exchange

    def on_piece(self, frame: Frame) -> None:
        """Hand a piece on."""
        self._exchange.streaming = True
        self._exchange.on_piece(frame)

    def leave(self, _: Call) -> None:
        """The client has left."""
        self.pool.leave(self)

    def credit(self, _: Call, size_bytes: int) -> None:
        """The client has taken so much of a stream."""
        self.pool.credit(self, size_bytes)

    def starts(self) -> Iterable[Start]:
        """Return the latest starts of the stable lane's workers."""
        return self.pool.starts()
