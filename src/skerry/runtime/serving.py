"""The bare runtime: one front and a fixed set of workers, for a container that the platform scales."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from skerry.errors import FunctionNotFoundError
from skerry.runtime.beginning import Beginning
from skerry.runtime.concurrency import check_concurrency
from skerry.runtime.confinement import raise_file_limit
from skerry.runtime.contract import FUNCTION_VARIABLE
from skerry.runtime.delivery import STALLED_S
from skerry.runtime.front import Front, add_health_routes
from skerry.runtime.inference_routes import InferenceRoutes, ServedModel
from skerry.runtime.inspecting import FirstWorker
from skerry.runtime.memory import MemoryReturn
from skerry.runtime.message import Request, Response
from skerry.runtime.nursery import Nursery
from skerry.runtime.observing import Observing
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.sharing import check_share_load
from skerry.runtime.target import Target
from skerry.spec import FunctionSpec, resolve

if TYPE_CHECKING:
    from skerry.runtime.pinned_model import PinnedModel

logger = logging.getLogger(__name__)

REST_S = 0.1  # the first answer has the processors for so long, once its worker is ready
# What workers of some kinds need.
LATER_IMPORTS = ("uvloop", "skerry.runtime.tasks", "skerry.runtime.grouping", "skerry.runtime.streaming")


def worker_target(
    base: Target, spec: FunctionSpec, environment: Mapping[str, str], *, report_modules: bool = False
) -> Target:
    """Return the target of a function's workers."""
    return Target(
        root=base.root,
        file=base.file,
        module=base.module,
        attribute=base.attribute,
        function=spec.name,
        environment={**environment, **spec.env, FUNCTION_VARIABLE: spec.name},
        memory_bytes=spec.memory_bytes,
        cpu=spec.cpu,
        files=spec.files,
        concurrency=spec.concurrency,
        timeout_s=spec.timeout_s,
        report_modules=report_modules,
    )


async def serve(begun: Beginning, *, function: str | None, workers: int) -> None:
    """Serve an app until SIGTERM or SIGINT, then drain.

    Args:
        begun: What runs already.
        function: The one function to serve, none for all.
        workers: Workers for each function.

    Raises:
        SkerryError: the app cannot be imported, or an option is wrong.
        OSError: the address is in use.
    """
    loop = asyncio.get_running_loop()
    raise_file_limit()
    reaper = Reaper(loop)
    nursery = Nursery(sys.executable, reaper=reaper, imports=begun.zygote.asked, first=begun.zygote)
    first = FirstWorker(begun.link, begun.progress, begun.target, nursery)
    contract = begun.contract
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if begun.signals:  # came before this loop could take them
        stopping.set()
    pools: list[WorkerPool] = []
    models: dict[str, PinnedModel] = {}
    holds = contextlib.ExitStack()
    front = Front()
    observing = Observing(front, os.environ)
    memory = MemoryReturn()
    try:
        description = await begun.describe(nursery, stopping)
        if description is None:
            return
        specs = _read_specs(description, function=function)
        if any(spec.model is not None for spec in specs):
            models = await asyncio.to_thread(_provide_models, specs, holds)
        if len(specs) * workers > 1:  # one of them may be there already; the others are forked from this
            nursery.preload(description["needs"])
        pools = _start(specs, models, begun, nursery, first, reaper, workers=workers, imports=description["imports"])
        first.dismiss()
        for pool in pools:
            pinned = models.get(pool.spec.name)
            versions = None if pinned is None else {pinned.version: pool}
            front.add_function(pool, alone=len(pools) == 1, versions=versions)
            observing.observe(pool, contract.revision or f"{pool.spec.name}-00001")
        add_health_routes(
            front, is_ready=lambda: not stopping.is_set() and all(pool.counts()["ready"] for pool in pools)
        )
        InferenceRoutes(front, lambda: _show_models(pools, models)).add_routes()
        for verb in ("load", "unload"):
            front.route("POST", f"/v2/repository/models/*/{verb}", _refuse_loading)
        port = await front.listen(contract.host, contract.port, door=begun.door)
        sys.stdout.write(f"skerry runtime: http://{contract.host}:{port}\n")
        sys.stdout.flush()
        await stopping.wait()
        await front.stop_listening()
    finally:
        until_s = loop.time() + max((pool.spec.drain_s for pool in pools), default=0.0)
        await asyncio.gather(*(pool.drain(limit_s=pool.spec.drain_s) for pool in pools))
        await front.finish(limit_s=max(STALLED_S, until_s - loop.time()))
        await observing.stop()
        memory.stop()
        first.dismiss()
        nursery.stop()
        reaper.close()
        holds.close()


def _read_specs(description: Mapping[str, Any], *, function: str | None) -> list[FunctionSpec]:
    """Return the options of the functions to serve."""
    declared = {name: entry["options"] for name, entry in description["functions"].items()}
    if function is not None and function not in declared:
        raise FunctionNotFoundError(f"no function {function!r} in this app; it has: {', '.join(sorted(declared))}")
    specs = [spec for name, spec in resolve(declared).items() if function in (None, name)]
    for spec in specs:
        entry = description["functions"][spec.name]
        check_concurrency(spec.name, spec.concurrency, is_async=entry["is_async"])
        check_share_load(spec.name, share_load=spec.share_load, load=entry["load"])
    return specs


def _provide_models(specs: list[FunctionSpec], holds: contextlib.ExitStack) -> dict[str, PinnedModel]:
    """Return the models of the functions that have one, on this machine, by the functions' names; hold their files."""
    from skerry.runtime.model_source import provide  # with the store, which most functions do without
    from skerry.spec import ModelReference

    models = {
        spec.name: provide(ModelReference.parse(spec.model), os.environ) for spec in specs if spec.model is not None
    }
    for pinned in models.values():
        with contextlib.suppress(OSError):  # what somebody else has mounted may know no locks
            holds.enter_context(pinned.hold())
    return models


def _show_models(pools: list[WorkerPool], models: Mapping[str, PinnedModel]) -> dict[str, ServedModel]:
    """Return the models that are served, as the inference addresses show them."""
    return {
        pool.spec.name: ServedModel(
            name=pool.spec.name, versions={pinned.version: pinned.manifest}, refusal=pool.dispatcher.refusal
        )
        for pool in pools
        if (pinned := models.get(pool.spec.name)) is not None
    }


def _refuse_loading(request: Request) -> Response:
    raise FunctionNotFoundError(
        f"{request.path}: a bare runtime knows no token, so nobody may do this here: its model lives as long as it "
        "does; an engine loads and unloads"
    )


def _start(
    specs: list[FunctionSpec],
    models: Mapping[str, PinnedModel],
    begun: Beginning,
    nursery: Nursery,
    first: FirstWorker,
    reaper: Reaper,
    *,
    workers: int,
    imports: Sequence[str],
) -> list[WorkerPool]:
    loop = asyncio.get_running_loop()
    variables = {name: pinned.variables() for name, pinned in models.items()}
    first.late = frozenset(key for found in variables.values() for key in found)
    if FUNCTION_VARIABLE not in begun.target.environment:  # which function the first worker would be was not known
        first.late |= {FUNCTION_VARIABLE}
    targets = {
        spec.name: worker_target(begun.target, spec, begun.contract.variables(spec.name) | variables.get(spec.name, {}))
        for spec in specs
    }
    if not first.suits(targets[specs[0].name]):
        nursery.preload(imports)  # before the first worker is forked, which has them then

    def note(function: str, kind: str, detail: Mapping[str, Any]) -> None:
        logger.info("%s %s%s", kind, function, f" {detail}" if detail else "")
        if kind == "worker_ready":  # further workers have more imported than the first one, which needed the processors
            loop.call_later(REST_S, nursery.preload, [*imports, *LATER_IMPORTS])

    pools = []
    for spec in specs:
        pool = WorkerPool(
            spec,
            targets[spec.name],
            nursery=nursery,
            reaper=reaper,
            open_log=lambda: os.dup(2),
            notify=partial(note, spec.name),
            source=first,
        )
        pool.set_desired(workers)
        pools.append(pool)
    return pools
