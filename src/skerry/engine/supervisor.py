"""The supervisor: which revision of each function serves, with which workers, out of which zygote."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skerry.engine.autoscaler import Autoscaler
from skerry.engine.environment import Environment
from skerry.engine.home import Home
from skerry.engine.journal import Journal
from skerry.engine.logs import Logs
from skerry.engine.memory_budget import memory_budget
from skerry.engine.records import AppRecord, RevisionRecord
from skerry.engine.residency import MemoryGate
from skerry.engine.source import Source
from skerry.engine.strays import MARK
from skerry.engine.usage import UsageMeter
from skerry.errors import FunctionNotFoundError, StartError
from skerry.runtime.confinement import share_bytes
from skerry.runtime.front import Front
from skerry.runtime.nursery import Nursery
from skerry.runtime.observing import Observing
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.serving import identity, worker_target
from skerry.runtime.target import Target
from skerry.scaling import ReactivePolicy, Shares
from skerry.spec import FunctionSpec, function_spec

logger = logging.getLogger(__name__)
STOP_LIMIT_S = 10.0


class Served:
    """One function that is being served."""

    __slots__ = ("autoscaler", "nursery", "pool", "revision")

    def __init__(self, revision: RevisionRecord, pool: WorkerPool, autoscaler: Autoscaler, nursery: Nursery) -> None:
        self.revision = revision
        self.nursery = nursery
        self.pool = pool
        self.autoscaler = autoscaler


class Supervisor:
    """Serves revisions on one machine.

    Args:
        home: The engine's folder.
        front: Where functions are served.
        reaper: Notices the end of processes.
        journal: Takes events.
        observing: Counts and traces what functions do.
        usage: Records what is billed.
    """

    def __init__(
        self, home: Home, *, front: Front, reaper: Reaper, journal: Journal, observing: Observing, usage: UsageMeter
    ) -> None:
        self.served: dict[str, Served] = {}
        self.on_change: Callable[[str], None] = lambda function: None  # another revision serves it from now on, or none
        self._home = home
        self._front = front
        self._reaper = reaper
        self._journal = journal
        self._observing = observing
        self.usage = usage
        self._logs = Logs(home.logs)
        self._nurseries: dict[Path, Nursery] = {}
        self._retiring: dict[WorkerPool, asyncio.Task[None]] = {}
        self._capacity = os.cpu_count() or 1
        self._shares: Shares[Autoscaler] = Shares()
        self.memory = MemoryGate(
            memory_budget(os.environ), served=self.served, retiring=self._retiring, notify=journal.add
        )

    def nursery(self, environment: Environment) -> Nursery:
        """Return the zygote of an environment; there is one for each interpreter."""
        nursery = self._nurseries.get(environment.python)
        if nursery is None:
            nursery = self._nurseries[environment.python] = self._new_nursery(environment)
        return nursery

    @contextmanager
    def throwaway_nursery(self, environment: Environment) -> Iterator[Nursery]:
        """Give a zygote of its own to an app that is not proven yet: what its imports do, they do to nobody else."""
        nursery = self._new_nursery(environment)
        try:
            yield nursery
        finally:
            nursery.stop()

    def serve(
        self, app: AppRecord, revision: RevisionRecord, environment: Environment, *, workers: int | None = None
    ) -> None:
        """Serve a revision in the place of the one before, which finishes what it has.

        Args:
            app: The app that the revision is part of.
            revision: What to serve.
            environment: Where its workers run.
            workers: Workers to begin with; none means the function's `initial`.

        Raises:
            SkerryError: the revision's source is gone.
        """
        spec = function_spec(revision.spec, where=f"revision {revision.name}")
        nursery = self.nursery(environment)
        nursery.preload([*app.imports, *revision.modules])
        pool = self._pool(spec, app_target(app, self._home.sources), revision.name, nursery)
        policy = ReactivePolicy(
            spec.scale,
            concurrency=spec.concurrency,
            capacity=max(1, int(self._capacity / spec.cpu)),
            initial=workers,
            start_limit_s=spec.start_timeout_s,
        )
        autoscaler = Autoscaler(
            pool,
            policy,
            shares=self._shares,
            notify=self._journal.notifier(spec.name),
            admit=lambda: self.memory.admit(pool),
        )
        before = self.served.get(spec.name)
        self.served[spec.name] = Served(revision, pool, autoscaler, nursery)
        self._front.add_function(pool)
        self.usage.watch(pool, revision.name, self._observing.observe(pool, revision.name))
        autoscaler.start(policy.desired)
        if before is not None:
            self._retire(before)
        self.on_change(spec.name)

    def stop_serving(self, function: str) -> None:
        """Serve a function no more; requests that it has are finished."""
        served = self.served.pop(function, None)
        if served is not None:
            self._front.remove_function(function)
            self._retire(served)
        self.on_change(function)

    def end_unused_zygotes(self) -> None:
        """End the zygotes of environments that no function uses; one that is wanted after all starts again."""
        used = {served.nursery for served in self.served.values()}
        for nursery in self._nurseries.values():
            if nursery not in used:
                nursery.stop()

    def find(self, function: str) -> Served:
        """Return what serves a function.

        Raises:
            FunctionNotFoundError: nothing does.
        """
        served = self.served.get(function)
        if served is None:
            there = ", ".join(sorted(self.served)) or "none"
            raise FunctionNotFoundError(f"no function {function!r} here; there are: {there}")
        return served

    async def try_out(self, spec: FunctionSpec, target: Target, nursery: Nursery) -> tuple[str, ...]:
        """Start one worker of a function and end it again, as a platform does before it trusts a revision.

        Returns:
            The libraries that it had imported once it was ready: worth importing ahead.

        Raises:
            StartError: it cannot be started.
        """
        found: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()

        def heard(kind: str, detail: dict[str, Any]) -> None:
            if kind == "worker_lost" and not found.done():
                found.set_exception(pool.last_error or StartError(detail["reason"]))

        pool = self._pool(spec, target, f"{spec.name}-trial", nursery, report_modules=True)
        pool.notify = heard
        pool.on_modules = lambda modules: None if found.done() else found.set_result(tuple(modules))
        pool.set_desired(1)
        try:
            return await found
        finally:
            await pool.stop(limit_s=STOP_LIMIT_S)

    def open_log(self, function: str) -> int:
        """Return a descriptor for a function's output."""
        return self._logs.open_for_append(function)

    def memory_bytes(self) -> dict[str, int]:
        """Return the memory of zygotes and of workers, each page counted once."""
        zygotes = [nursery.pid for nursery in self._nurseries.values() if nursery.pid is not None]
        return {
            "zygotes": sum(share_bytes(pid) for pid in zygotes),
            "workers": sum(served.pool.memory_bytes() for served in self.served.values()),
        }

    async def stop(self, *, limit_s: float) -> None:
        """Finish what runs and end everything."""
        self.memory.stop()
        for served in self.served.values():
            served.autoscaler.stop()
        pools = [served.pool for served in self.served.values()]
        await asyncio.gather(
            *(pool.drain(limit_s=limit_s) for pool in pools),
            *(self._end_retiring(pool, task, limit_s) for pool, task in self._retiring.items()),
        )
        for nursery in self._nurseries.values():
            nursery.stop()

    def _new_nursery(self, environment: Environment) -> Nursery:
        variables = {**os.environ, "SKERRY_ENGINE": str(self._home.socket), MARK: str(self._home.socket)}
        variables.pop("PYTHONSTARTUP", None)
        return Nursery(environment.python, reaper=self._reaper, environment=variables)

    def _pool(
        self, spec: FunctionSpec, base: Target, revision: str, nursery: Nursery, *, report_modules: bool = False
    ) -> WorkerPool:
        environment = {**identity(spec.name, revision), "SKERRY_ENGINE": str(self._home.socket)}
        target = worker_target(base, spec, environment, report_modules=report_modules)
        return WorkerPool(
            spec,
            target,
            nursery=nursery,
            reaper=self._reaper,
            open_log=lambda: self._logs.open_for_append(spec.name),
            notify=self._journal.notifier(spec.name),
        )

    def _retire(self, served: Served) -> None:
        served.autoscaler.stop()
        pool = served.pool
        pool.dispatcher.close()  # now, and not when the task begins: what comes after a deployment is not the old one's
        task = asyncio.get_running_loop().create_task(pool.drain(limit_s=pool.spec.drain_s))
        self._retiring[pool] = task

        def ended(_: asyncio.Task[None]) -> None:
            self._retiring.pop(pool, None)
            self.usage.forget(pool)
            pool.dispatcher.observer.close()

        task.add_done_callback(ended)

    async def _end_retiring(self, pool: WorkerPool, task: asyncio.Task[None], limit_s: float) -> None:
        """Let a pool that drains already finish, but no longer than the engine waits for the others."""
        await asyncio.wait([task], timeout=limit_s)
        if not task.done():
            task.cancel()
            await pool.stop(limit_s=0.0)


def app_target(app: AppRecord, sources: Path) -> Target:
    """Return how an app's copy is loaded.

    Raises:
        SkerryError: the copy is gone.
    """
    return source_target(Source.from_dict(app.source, sources))


def source_target(source: Source) -> Target:
    """Return how a source is loaded."""
    root = None if source.root is None else str(source.root)
    return Target(root=root, file=source.file, module=source.module, attribute=source.attribute, environment={})
