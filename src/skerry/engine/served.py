"""One revision of a function with its workers, as the supervisor holds it."""

from __future__ import annotations

import asyncio
from copy import copy
from typing import Any

from skerry.engine.autoscaler import ASK_S, Autoscaler
from skerry.engine.records import RevisionRecord
from skerry.errors import UnavailableError
from skerry.runtime.nursery import Nursery
from skerry.runtime.pinned_model import PinnedModel
from skerry.runtime.pool import WorkerPool


class Served:
    """One revision of a function that is being served, or stands by to be."""

    __slots__ = (
        "_hold",
        "autoscaler",
        "beside",
        "is_loaded",
        "nursery",
        "pinned",
        "pool",
        "ready",
        "revision",
        "unloading",
    )

    def __init__(
        self,
        revision: RevisionRecord,
        pool: WorkerPool,
        autoscaler: Autoscaler,
        nursery: Nursery,
        pinned: PinnedModel | None,
    ) -> None:
        self.revision = revision
        self.nursery = nursery
        self.pool = pool
        self.autoscaler = autoscaler
        self.pinned = pinned
        self._hold = None if pinned is None else pinned.hold()
        self.beside: tuple[Served, ...] = ()  # other versions that may be asked for by their number
        self.is_loaded = True  # false once somebody has asked for its unload
        self.unloading: asyncio.Task[None] | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # see `start`

    @property
    def is_ready(self) -> bool:
        """Whether a worker has loaded it."""
        return self.pool.counts()["ready"] > 0

    @property
    def is_at_work(self) -> bool:
        """Whether its callers would notice if what takes its place had to be started first."""
        return self.is_loaded and bool(self.pool.desired or self.pool.dispatcher.in_system)

    async def start(self, workers: int = 1, *, keep: bool = False) -> None:
        """Begin with some workers, and wait until they are ready: all of them, or those that can be started.

        Args:
            workers: How many, at least 1.
            keep: Whether they stay, idle as they are, until their number is decided anew; else the autoscaler decides
                it from now on.

        Raises:
            StartError: none can be started.
            UnavailableError: there is no memory for the first one, or `give_up` was called meanwhile.
        """
        pool, ready = self.pool, self.ready
        record = pool.notify

        def heard(kind: str, detail: dict[str, Any]) -> None:
            record(kind, detail)
            if ready.done():
                return
            if kind == "worker_ready" and pool.counts()["ready"] >= workers:
                ready.set_result(None)
            elif kind == "worker_lost" and pool.last_error is not None:
                if self.is_ready:
                    ready.set_result(None)
                elif pool.dispatcher.refusal is not None or all(one.killed for one in pool.workers):
                    ready.set_exception(pool.last_error)

        pool.notify = heard
        try:
            await self._begin(workers)
            if keep:
                self.autoscaler.stop()
            await ready
        finally:
            pool.notify = record

    async def _begin(self, workers: int) -> None:
        """Ask for workers until there is memory for the first; no call waits, so nobody else would ask again."""
        while not self.ready.done():
            self.autoscaler.start(workers)
            if self.pool.desired:
                return
            await asyncio.sleep(ASK_S)
            if self.pool.dispatcher.refusal is not None:
                raise copy(self.pool.dispatcher.refusal)

    def release(self) -> None:
        """Let its model's files be evicted: its workers have ended."""
        if self._hold is not None:
            self._hold.close()

    def give_up(self) -> None:
        """Decide nothing more, take nothing more, and let nobody wait for a worker any more."""
        self.autoscaler.stop()
        # Now, and not when the pool drains: what comes after a deployment is not the old one's.
        self.pool.dispatcher.close()
        if not self.ready.done():
            self.ready.set_exception(UnavailableError(f"revision {self.revision.name} is not wanted any more"))
            self.ready.exception()  # nobody needs to look at it


def unloaded(function: str) -> UnavailableError:
    """Return what callers of a function are told that somebody has unloaded."""
    return UnavailableError(
        f"model {function!r} is unloaded; POST /v2/repository/models/{function}/load takes requests again"
    )
