"""The supervisor: which revision of each function serves, with which workers, out of which zygote."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from skerry.engine.autoscaler import Autoscaler
from skerry.engine.home import Home
from skerry.engine.journal import Journal
from skerry.engine.logs import Logs
from skerry.engine.memory.budget import memory_budget
from skerry.engine.memory.residency import MemoryGate
from skerry.engine.nurseries import Nurseries
from skerry.engine.records import AppRecord, RevisionRecord
from skerry.engine.served import Served, unloaded
from skerry.engine.sources.environment import Environment
from skerry.engine.sources.source import Source
from skerry.engine.usage import UsageMeter
from skerry.errors import FunctionNotFoundError, StartError
from skerry.runtime.contract import identity
from skerry.runtime.front import Front
from skerry.runtime.inputs import INPUTS_VARIABLE
from skerry.runtime.nursery import Nursery
from skerry.runtime.observing import Observing
from skerry.runtime.pinned_model import PinnedModel
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.serving import worker_target
from skerry.runtime.split import Split
from skerry.runtime.target import Target
from skerry.scaling import ReactivePolicy, Shares
from skerry.spec import FunctionSpec, function_spec

logger = logging.getLogger(__name__)
STOP_LIMIT_S = 10.0


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
        self.standby: dict[str, Served] = {}  # revisions beside those that serve, by the revision's name
        self._successors: dict[str, Served] = {}  # what `prepare` has started, by the function's name
        self.on_change: list[Callable[[str], None]] = []  # called when another revision serves a function, or none
        self.sources = home.sources
        self.nurseries = Nurseries(home, reaper)
        self._home = home
        self._front = front
        self._reaper = reaper
        self._journal = journal
        self._observing = observing
        self.usage = usage
        self._logs = Logs(home.logs)
        self._retiring: dict[WorkerPool, asyncio.Task[None]] = {}
        self._capacity = os.cpu_count() or 1
        self._shares: Shares[Autoscaler] = Shares()
        self.memory = MemoryGate(
            memory_budget(os.environ), served=self.served, retiring=self._retiring, notify=journal.add
        )

    def is_at_work(self, function: str) -> bool:
        """Whether a function has workers or calls, so that what takes its place should be ready before."""
        served = self.served.get(function)
        return served is not None and served.is_at_work

    async def prepare(
        self, app: AppRecord, revision: RevisionRecord, nursery: Nursery, pinned: PinnedModel | None
    ) -> None:
        """Start what is going to take the place of a revision, with as many workers as that one has, and await them.

        It gets no requests, and stays until `serve` or `drop_prepared`.

        Args:
            app: The app that it is part of.
            revision: What is to serve.
            nursery: Where its workers come from.
            pinned: The files of its model; none without a model.

        Raises:
            StartError: no worker of it can be started.
            UnavailableError: there is no memory for one, or `drop_prepared` was called meanwhile.
            FunctionNotFoundError: nothing serves the function.
        """
        before = self.find(revision.function).pool.desired
        served = self._successors[revision.function] = self._make(app, revision, nursery, pinned)
        pool = served.pool
        self._watch(served)
        served.autoscaler = self._autoscaler(pool, max(before, pool.spec.scale.initial, 1))
        workers = self.memory.room(pool, most=served.autoscaler.beginning)
        await served.start(max(1, workers), keep=True)

    def drop_prepared(self) -> None:
        """End what was prepared and did not come to serve."""
        while self._successors:
            self._retire(self._successors.popitem()[1])

    def serve(
        self,
        app: AppRecord,
        revision: RevisionRecord,
        environment: Environment,
        *,
        pinned: PinnedModel | None = None,
        workers: int | None = None,
    ) -> None:
        """Serve a revision in the place of the one before, which finishes what it has.

        What was prepared under its name is taken, with no fewer workers than the one before has. What stands by for the
        one before is ended: it runs code that is not deployed any more.

        Args:
            app: The app that the revision is part of.
            revision: What to serve.
            environment: Where its workers run.
            pinned: The files of its model; none without a model.
            workers: Workers to begin with; none means the function's `initial`.

        Raises:
            SkerryError: the revision's source is gone.
        """
        served = self._successors.get(revision.function)
        if served is not None and served.revision.name == revision.name:
            del self._successors[revision.function]
            served.revision = revision  # as it is on record now
            workers = max(served.pool.desired, self.find(revision.function).pool.desired)
        else:
            served = self._make(app, revision, self.nurseries.of(environment), pinned)
            self._watch(served)
        self._take_over(served, workers)
        for other in list(self.standby.values()):
            if other.revision.function == revision.function:
                self.dismiss(other)
        self._tell_change(revision.function)

    async def stand_by(self, app: AppRecord, revision: RevisionRecord, pinned: PinnedModel) -> Served:
        """Start a revision beside the one that serves, and wait until a worker of it is ready; it gets no requests.

        Raises:
            StartError: no worker can be started; nothing of it is left.
            UnavailableError: the function was deployed anew meanwhile.
            FunctionNotFoundError: nothing serves the function.
        """
        served = self._make(app, revision, self.find(revision.function).nursery, pinned)
        served.autoscaler = self._autoscaler(served.pool, 1)  # whatever a deployment begins with, here one is wanted
        self._watch(served)
        self.standby[revision.name] = served
        try:
            await served.start()
        except BaseException:
            self.dismiss(served)
            raise
        return served

    def promote(self, served: Served, *, keep_before: bool = False) -> None:
        """Let a revision that stands by serve its function from now on.

        Args:
            served: That revision.
            keep_before: Whether the one before stands by from now on; else it finishes what it has, and ends.
        """
        function = served.revision.function
        del self.standby[served.revision.name]
        served.autoscaler.stop()
        before = self.served[function]
        if keep_before:
            self.standby[before.revision.name] = before
        self._take_over(served, max(before.pool.desired, 1), keep_before=keep_before)
        if not before.is_loaded:
            self.unload(function)
        self._tell_change(function)

    def route(self, function: str, entry: WorkerPool | Split, beside: Sequence[Served] = ()) -> None:
        """Have a function's requests taken by ``entry`` until its revision changes.

        Args:
            function: Its name.
            entry: The pool that serves it, or what divides requests between that one and others.
            beside: Revisions that stand by and may be asked for by the number of their model's version.

        Raises:
            FunctionNotFoundError: nothing serves it.
        """
        served = self.find(function)
        served.beside = tuple(beside)
        versions = {one.pinned.version: one.pool for one in (served, *beside) if one.pinned is not None}
        self._front.add_function(entry, versions=versions or None, app=served.revision.app)

    def replace(self, app: AppRecord, revision: RevisionRecord, pinned: PinnedModel) -> None:
        """Serve a revision in the place of one that has no workers, without workers, and unloaded if that one is."""
        before = self.served[revision.function]
        served = self._make(app, revision, before.nursery, pinned)
        self._watch(served)
        if not before.is_loaded:
            served.is_loaded = False
            served.pool.dispatcher.close(unloaded(revision.function))
        self._take_over(served, before.pool.desired)
        self._tell_change(revision.function)

    def dismiss(self, served: Served) -> None:
        """End a revision that stands by; requests that it has been given are finished."""
        if self.standby.pop(served.revision.name, None) is not None:
            self._retire(served)

    def stop_serving(self, function: str) -> None:
        """Serve a function no more; requests that it has are finished."""
        served = self.served.pop(function, None)
        if served is not None:
            self._front.remove_function(function)
            self._retire(served)
        for other in list(self.standby.values()):
            if other.revision.function == function:
                self.dismiss(other)
        self._tell_change(function)

    def unload(self, function: str) -> None:
        """Refuse a function's requests from now on, and end its workers once they have finished what they have.

        Raises:
            FunctionNotFoundError: nothing serves it.
        """
        served = self.find(function)
        if served.is_loaded:
            served.is_loaded = False
            served.autoscaler.stop()
            why = unloaded(function)
            served.pool.dispatcher.close(why)
            drain = served.pool.drain(limit_s=served.pool.spec.drain_s, why=why)
            served.unloading = asyncio.get_running_loop().create_task(drain)
            self._journal.add(function, "unloaded", {})

    async def load(self, function: str) -> None:
        """Take a function's requests again after an unload, and start a worker.

        Raises:
            FunctionNotFoundError: nothing serves it.
        """
        served = self.find(function)
        if served.unloading is not None:
            await asyncio.wait([served.unloading])
        if served.is_loaded or self.served.get(function) is not served:
            return  # somebody else was faster
        served.is_loaded, served.unloading = True, None
        served.pool.reopen()
        self._scale(served, 1)
        self._journal.add(function, "loaded", {})
        self._tell_change(function)

    def end_unused_zygotes(self) -> None:
        """End the zygotes of environments that no function uses."""
        self.nurseries.end_unused({served.nursery for served in self._all()})

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

    async def try_out(
        self, spec: FunctionSpec, target: Target, nursery: Nursery, pinned: PinnedModel | None = None
    ) -> tuple[str, ...]:
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

        pool = self._pool(spec, target, f"{spec.name}-trial", nursery, pinned, report_modules=True)
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
        return {
            "zygotes": self.nurseries.memory_bytes(),
            "workers": sum(served.pool.memory_bytes() for served in self._all()),
        }

    async def stop(self, *, limit_s: float) -> None:
        """Finish what runs and end everything."""
        self.memory.stop()
        self.drop_prepared()
        for served in self._all():
            served.autoscaler.stop()
        pools = [served.pool for served in self._all()]
        await asyncio.gather(
            *(pool.drain(limit_s=limit_s) for pool in pools),
            *(self._end_retiring(pool, task, limit_s) for pool, task in self._retiring.items()),
        )
        self.nurseries.stop()

    def _all(self) -> list[Served]:
        return [*self.served.values(), *self.standby.values(), *self._successors.values()]

    def _tell_change(self, function: str) -> None:
        for told in self.on_change:
            told(function)

    def _make(self, app: AppRecord, revision: RevisionRecord, nursery: Nursery, pinned: PinnedModel | None) -> Served:
        spec = function_spec(revision.spec, where=f"revision {revision.name}")
        nursery.preload([*app.imports, *revision.modules])
        pool = self._pool(spec, app_target(app, self._home.sources), revision.name, nursery, pinned)
        return Served(revision, pool, self._autoscaler(pool, None), nursery, pinned)

    def _autoscaler(self, pool: WorkerPool, workers: int | None) -> Autoscaler:
        spec = pool.spec
        policy = ReactivePolicy(
            spec.scale,
            concurrency=spec.concurrency,
            capacity=max(1, int(self._capacity / spec.cpu)),
            initial=workers,
            start_limit_s=spec.start_timeout_s,
        )
        return Autoscaler(
            pool,
            policy,
            shares=self._shares,
            notify=self._journal.notifier(spec.name),
            admit=lambda: self.memory.admit(pool),
        )

    def _watch(self, served: Served) -> None:
        """Count, trace and meter what a revision does."""
        name = served.revision.name
        self.usage.watch(served.pool, name, self._observing.observe(served.pool, name))

    def _scale(self, served: Served, workers: int | None) -> None:
        """Have the number of a pool's workers decided from now on, beginning with so many."""
        served.autoscaler = self._autoscaler(served.pool, workers)
        served.autoscaler.start()

    def _take_over(self, served: Served, workers: int | None, *, keep_before: bool = False) -> None:
        """Let a revision answer its function's requests, beginning with this turn of the loop."""
        function = served.revision.function
        before = self.served.get(function)
        self.served[function] = served
        self.route(function, served.pool)
        if served.is_loaded:
            self._scale(served, workers)
        if before is not None and not keep_before:
            self._retire(before)

    def _pool(
        self,
        spec: FunctionSpec,
        base: Target,
        revision: str,
        nursery: Nursery,
        pinned: PinnedModel | None,
        *,
        report_modules: bool = False,
    ) -> WorkerPool:
        environment = {**identity(spec.name, revision), "SKERRY_ENGINE": str(self._home.socket)}
        environment[INPUTS_VARIABLE] = str(self._home.inputs)
        environment |= {} if pinned is None else pinned.variables()
        target = worker_target(base, spec, environment, report_modules=report_modules)
        return WorkerPool(
            spec,
            target,
            nursery=nursery,
            reaper=self._reaper,
            open_log=lambda: self._logs.open_for_append(spec.name, local=spec.local),
            notify=self._journal.notifier(spec.name),
        )

    def _retire(self, served: Served) -> None:
        served.give_up()
        pool = served.pool
        task = asyncio.get_running_loop().create_task(pool.drain(limit_s=pool.spec.drain_s))
        self._retiring[pool] = task

        def ended(_: asyncio.Task[None]) -> None:
            self._retiring.pop(pool, None)
            self.usage.forget(pool)
            pool.dispatcher.observer.close()
            served.release()

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
