"""One run: its plan carried out against a target, in this thread."""

from __future__ import annotations

import asyncio
import gc
import resource
import ssl
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvloop

from skerry.errors import SpecError, TransportError
from skerry.testbed.load.loops import ClosedLoop, Loop, OpenLoop
from skerry.testbed.load.plan import ArrivalPlan, Plan
from skerry.testbed.load.pool import Pool
from skerry.testbed.load.progress import Progress, Watcher
from skerry.testbed.load.recorder import Recorder
from skerry.testbed.load.result import LoadResult
from skerry.testbed.load.target import Target
from skerry.testbed.load.verdict import Circumstances, judge

# Between the last preparation and the first request.
_RUN_UP_NS = 5_000_000
_LOOK_S = 0.25
# Lengths of the timeline's intervals; the first with at most this many of them is taken.
_INTERVALS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)
_MOST_INTERVALS = 80


def run_load(
    plan: Plan,
    target: Target,
    *,
    warm_up_s: float = 0.0,
    connections: int = 8,
    most_connections: int = 10_000,
    most_late_s: float = 1.0,
    on_progress: Callable[[Progress], None] | None = None,
) -> LoadResult:
    """Send requests by a plan, and return what became of them.

    It runs in this thread, on an event loop of its own, and takes up to a whole processor. Ctrl-C ends it early, with
    the result of what was done; the requests that were on their way are not in it.

    Args:
        plan: When requests are sent.
        target: Where to, and what.
        warm_up_s: The requests of the plan's first seconds are left out of the figures.
        connections: Connections that are opened before the start.
        most_connections: Connections that an open loop may open; a request that would need one more is dropped and
            counted as the generator's fault.
        most_late_s: A request that the generator itself cannot take up within this time is dropped, and counted so.
        on_progress: Is called four times per second, in the event loop: what it does delays requests.

    Raises:
        SpecError: the warm-up leaves nothing of the plan, or a number is out of its range.
        TransportError: nothing answers at the target, or its certificate is not trusted.
        ConfigError: the certificate's file cannot be read.

    Example:
        >>> plan = poisson(200, 10, seed=7)                                                    # doctest: +SKIP
        >>> run_load(plan, Target.of_url("http://127.0.0.1:8080/function/add")).latency.p99_s  # doctest: +SKIP
        0.0041
    """
    if not 0 <= warm_up_s < plan.duration_s:
        raise SpecError(
            f"a warm-up of {warm_up_s:g} s leaves nothing of a plan of {plan.duration_s:g} s", field="warm_up_s"
        )
    if isinstance(plan, ArrivalPlan) and not len(plan):
        raise SpecError("the plan has no request in it; ask for more, or for longer", field="plan")
    if connections < 1 or most_connections < 1 or most_late_s <= 0:
        raise SpecError("connections and the latest moment must be above zero", field="connections")
    if isinstance(plan, ArrivalPlan) and plan.bodies is not None and len(plan.bodies) != len(plan):
        raise SpecError(f"{len(plan.bodies)} bodies for {len(plan)} requests: give one for each", field="bodies")
    run = _Run(plan, target, warm_up_s, most_late_s, on_progress)
    with _quiet_collector(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run.carry_out(connections, min(most_connections, _raise_file_limit(most_connections))))


class _Run:
    def __init__(
        self,
        plan: Plan,
        target: Target,
        warm_up_s: float,
        most_late_s: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._plan = plan
        self._target = target
        self._warm_up_s = warm_up_s
        self._most_late_ns = round(most_late_s * 1e9)
        self._on_progress = on_progress

    async def carry_out(self, connections: int, most_connections: int) -> LoadResult:
        plan, interrupted = self._plan, False
        requests = self._requests()
        recorder = Recorder(warm_up_ns=round(self._warm_up_s * 1e9), interval_ns=_interval_ns(plan.duration_s))
        pool = Pool(self._target, recorder, most=most_connections)
        try:
            await pool.open_ahead(connections)
        except OSError as error:
            await pool.close()
            raise _unreachable(self._target, error) from error
        cpu_s, started_at = time.process_time(), time.time()
        start_ns = time.monotonic_ns() + _RUN_UP_NS
        recorder.start(start_ns)
        loop = self._loop(requests, recorder, start_ns)
        pool.on_end = loop.ended
        watching = asyncio.create_task(self._watch(recorder, pool))
        try:
            await loop.run(pool)
        except asyncio.CancelledError:
            interrupted = True
        finally:
            watching.cancel()
        ended_ns = time.monotonic_ns()
        about = Circumstances(
            started_at=started_at,
            warm_up_s=self._warm_up_s,
            ended_ns=ended_ns,
            interrupted=interrupted,
            connections_opened=pool.opened_total,
            cpu_ratio=(time.process_time() - cpu_s) / max((ended_ns - start_ns) / 1e9, 1e-9),
        )
        await pool.close()
        return judge(plan, self._target, recorder, about)

    def _requests(self) -> list[bytes]:
        if isinstance(self._plan, ArrivalPlan) and self._plan.bodies is not None:
            # Bodies repeat in a trace; their requests are kept once.
            known = {body: self._target.request(body) for body in set(self._plan.bodies)}
            return [known[body] for body in self._plan.bodies]
        return [self._target.request()]

    def _loop(self, requests: list[bytes], recorder: Recorder, start_ns: int) -> Loop:
        if isinstance(self._plan, ArrivalPlan):
            return OpenLoop(self._plan, requests, recorder, start_ns, self._most_late_ns)
        return ClosedLoop(self._plan, requests[0], recorder, start_ns)

    async def _watch(self, recorder: Recorder, pool: Pool) -> None:
        if self._on_progress is None:
            return
        watcher = Watcher(recorder, pool)
        while True:
            await asyncio.sleep(_LOOK_S)
            now_ns = time.monotonic_ns()
            planned = None
            if isinstance(self._plan, ArrivalPlan):
                planned = bisect_right(self._plan.offsets_ns, now_ns - recorder.start_ns)
            self._on_progress(watcher.look(now_ns, planned))


def _unreachable(target: Target, error: OSError) -> TransportError:
    """Return why no connection came about: one that is refused because of its certificate has an answer behind it."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return TransportError(
            f"nothing answers at {target.name}: {error.strerror or error}",
            sent=False,
            hint="start it, or mend the address",
        )
    expected = "one that this machine trusts" if target.certificate is None else f"that of {target.certificate}"
    return TransportError(
        f"{target.name} answers, but its certificate is not {expected}: {error.verify_message}",
        sent=False,
        hint="name the server's certificate: --certificate FILE, or the site that has it in skerry.toml: --site NAME",
    )


def _interval_ns(duration_s: float) -> int:
    fitting = (step_s for step_s in _INTERVALS_S if duration_s / step_s <= _MOST_INTERVALS)
    return round(next(fitting, _INTERVALS_S[-1]) * 1e9)


def _raise_file_limit(wanted: int) -> int:
    """Let this process have as many connections as are wanted, if it may; return how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # What else is open: the loop's own, files, the terminal.
    needed = wanted + 64
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, soft - 64)


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Keep the garbage collector from walking through what was there before: it would stop the run for milliseconds."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
