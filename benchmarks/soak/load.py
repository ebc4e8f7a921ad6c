"""All callers at once, for as long as asked, and the phases of overload and of bursts."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.soak.callers import CALLERS, Caller, WrongError
from benchmarks.soak.client import Connection

KEPT_FAILURES = 200
PAUSE_S = 0.02  # mean pause of a caller between visits
FRESH_SHARE = 0.05  # visits before which a caller opens a new connection
OVERLOAD_CALLERS = 40
OVERLOAD_S = 2.0
OVERLOAD_EVERY_S = 15.0
RECOVERY_S = 10.0
BURST_CALLERS = 30
BURST_PAUSES_S = (2.0, 10.0)  # the longer ones let the function go to zero


@dataclass(slots=True)
class Tally:
    """What happened.

    Args:
        visits: Visits of callers that went as they should, by kind.
        statuses: Answers under overload, by status.
        failures: What should not have happened, by kind.
        details: The first of the failures.
    """

    visits: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    def fail(self, kind: str, error: BaseException) -> None:
        """Count a failure, and keep what it was."""
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                self.fail(kind, each)
            return
        self.failures[kind] += 1
        if len(self.details) < KEPT_FAILURES:
            said = str(error) if isinstance(error, WrongError) else "".join(traceback.format_exception(error)[-3:])
            self.details.append(f"{time.strftime('%H:%M:%S')} {kind}: {said}")


class Load:
    """The mixed load on one engine.

    Args:
        port: Where the engine listens.
        seed: Of all random numbers: each caller has its own, so that what one draws does not depend on the others.
    """

    def __init__(self, port: int, *, seed: int) -> None:
        self.tally = Tally()
        self._port = port
        self._seed = seed
        self._until_s = 0.0

    async def run(self, seconds: float) -> None:
        """Load for some time, and return when every visit has ended."""
        self._until_s = time.monotonic() + seconds
        async with asyncio.TaskGroup() as tasks:
            for kind, (caller, count) in CALLERS.items():
                for number in range(count):
                    tasks.create_task(self._visit(kind, caller, random.Random(f"{self._seed} {kind} {number}")))
            tasks.create_task(self._phases("overload", self._overload, random.Random(f"{self._seed} overload")))
            tasks.create_task(self._phases("burst", self._burst, random.Random(f"{self._seed} burst")))

    async def _visit(self, kind: str, caller: Caller, draw: random.Random) -> None:
        connection = Connection(self._port)
        while time.monotonic() < self._until_s:
            try:
                await caller(connection, draw)
                self.tally.visits[kind] += 1
            except Exception as error:  # whatever it is, it is what this looks for
                self.tally.fail(kind, error)
                connection.reset()
            if draw.random() < FRESH_SHARE:
                connection.close()
            await asyncio.sleep(draw.expovariate(1 / PAUSE_S))
        connection.close()

    async def _phases(self, kind: str, phase: Callable[[random.Random], Awaitable[float]], draw: random.Random) -> None:
        while time.monotonic() < self._until_s:
            try:
                pause_s = await phase(draw)
                self.tally.visits[kind] += 1
            except Exception as error:  # as above
                self.tally.fail(kind, error)
                pause_s = 1.0
            await asyncio.sleep(min(pause_s, max(0.0, self._until_s - time.monotonic())))

    async def _overload(self, draw: random.Random) -> float:
        """Ask more than the function with the short queue can take; then see that it serves again."""
        until_s = time.monotonic() + OVERLOAD_S

        async def press(number: int) -> None:
            connection = Connection(self._port)
            try:
                while time.monotonic() < until_s:
                    answer = await connection.call("/function/tight", number)
                    self.tally.statuses[answer.status] += 1
                    if answer.status == 200 and answer.json() != number:
                        raise WrongError(f"overload: {answer.body[:300]!r} instead of {number}")
                    if answer.status not in (200, 429, 503, 504):
                        raise WrongError(f"overload: {answer.status} {answer.body[:300]!r}")
                    if answer.status in (429, 503) and int(answer.headers.get("retry-after", "0")) < 1:
                        raise WrongError(f"overload: {answer.status} with {answer.headers}")
                    await asyncio.sleep(0.01)
            finally:
                connection.close()

        async with asyncio.TaskGroup() as tasks:
            for number in range(OVERLOAD_CALLERS):
                tasks.create_task(press(number))
        connection = Connection(self._port)
        try:
            for _ in range(round(RECOVERY_S / 0.1)):
                answer = await connection.call("/function/tight", 7)
                if answer.status == 200:
                    break
                await asyncio.sleep(0.1)
            else:
                raise WrongError(f"overload: still {answer.status} after {RECOVERY_S:g} s")
        finally:
            connection.close()
        return draw.expovariate(1 / OVERLOAD_EVERY_S)

    async def _burst(self, draw: random.Random) -> float:
        """Call the function that scales down to zero many times at once."""

        async def one(number: int) -> None:
            connection = Connection(self._port)
            try:
                answer = await connection.call("/function/elastic", number)
                if answer.status != 200 or answer.json() != number:
                    raise WrongError(f"burst: {answer.status} {answer.body[:300]!r} instead of {number}")
            finally:
                connection.close()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(draw.randint(1, BURST_CALLERS)):
                tasks.create_task(one(draw.randrange(1000)))
        return draw.uniform(*BURST_PAUSES_S)
