"""The bare runtime: one front and a fixed set of workers, for a container that the platform scales."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from skerry.errors import AppImportError, FunctionNotFoundError, SkerryError, SpecError, from_problem
from skerry.runtime.concurrency import check_concurrency
from skerry.runtime.confinement import become_subreaper, raise_file_limit
from skerry.runtime.delivery import STALLED_S
from skerry.runtime.frames import FrameReader, Kind
from skerry.runtime.front import Front, add_health_routes
from skerry.runtime.inference_routes import InferenceRoutes, ServedModel
from skerry.runtime.memory import MemoryReturn
from skerry.runtime.message import Request, Response
from skerry.runtime.nursery import Nursery
from skerry.runtime.observing import Observing
from skerry.runtime.pinned_model import PinnedModel
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.sharing import check_share_load
from skerry.runtime.target import DEFAULT_ATTRIBUTE, Target
from skerry.runtime.zygote_process import ZygoteProcess, known_imports
from skerry.spec import FunctionSpec, ModelReference, resolve

logger = logging.getLogger(__name__)

INSPECT_TIMEOUT_S = 120.0
READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What the platform says through Knative's runtime contract.

    Args:
        host: Address to listen on; every interface inside a platform's container, loopback elsewhere.
        port: Port to listen on.
        service: Name of the service, if the platform gives one.
        revision: Name of the revision, if the platform gives one.
    """

    host: str
    port: int
    service: str | None
    revision: str | None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Contract:
        """Return the contract that environment variables state.

        Raises:
            ValueError: ``PORT`` is no port.
        """
        service = environment.get("K_SERVICE")
        port = int(environment.get("PORT", "8080"))
        if not 0 <= port <= 65535:
            raise ValueError(f"{port} is no port")
        return cls(
            host="0.0.0.0" if service else "127.0.0.1",  # noqa: S104  # a container's only way in is its port
            port=port,
            service=service,
            revision=environment.get("K_REVISION"),
        )


def identity(function: str, revision: str) -> dict[str, str]:
    """Return the variables by which a worker knows who it is."""
    return {"K_SERVICE": function, "K_CONFIGURATION": function, "K_REVISION": revision}


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
        environment={**environment, **spec.env},
        memory_bytes=spec.memory_bytes,
        cpu=spec.cpu,
        files=spec.files,
        concurrency=spec.concurrency,
        timeout_s=spec.timeout_s,
        report_modules=report_modules,
    )


async def inspect_app(nursery: Nursery, target: Target, *, log_fd: int) -> dict[str, Any]:
    """Import an app in a worker of its own and return its description (see `inspection.describe`).

    Raises:
        AppImportError: its import fails, or takes longer than two minutes.
        SpecError: its functions declare what does not go together.
    """
    loop = asyncio.get_running_loop()
    link, progress = nursery.spawn(target, log_fd=log_fd)
    reader = FrameReader()
    pid: int | None = None
    try:
        async with asyncio.timeout(INSPECT_TIMEOUT_S):
            while data := await loop.sock_recv(link, READ_BYTES):
                for frame in reader.feed(data):
                    if frame.kind == Kind.HELLO:
                        pid = frame.meta["pid"]
                    elif frame.kind == Kind.RESULT:
                        description: dict[str, Any] = orjson.loads(frame.body)
                        return description
                    elif frame.kind == Kind.START_FAILED:
                        raise _inspection_error(from_problem(orjson.loads(frame.body)))
    except BaseException as error:
        if pid is not None and not isinstance(error, SkerryError):  # too late, or not wanted any more
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if isinstance(error, TimeoutError):
            late = f"{target.module!r} was not imported within {INSPECT_TIMEOUT_S:g} s"
            raise AppImportError(late) from error
        raise
    finally:
        link.close()
        progress.close()
    raise AppImportError(f"the process that imported {target.module!r} died")


def _inspection_error(error: SkerryError) -> SkerryError:
    if isinstance(error, SpecError):
        return error
    return AppImportError(error.message, **error.details)


async def serve(
    target: Target, contract: Contract, *, function: str | None, workers: int, zygote: ZygoteProcess | None = None
) -> None:
    """Serve an app until SIGTERM or SIGINT, then drain.

    Args:
        target: The app.
        contract: Where to listen and who we are.
        function: The one function to serve, none for all.
        workers: Workers for each function.
        zygote: The zygote, where it runs already.

    Raises:
        SkerryError: the app cannot be imported, or an option is wrong.
        OSError: the address is in use.
    """
    loop = asyncio.get_running_loop()
    become_subreaper()
    raise_file_limit()
    reaper = Reaper(loop)
    nursery = Nursery(Path(sys.executable), reaper=reaper, imports=known_imports(os.environ), first=zygote)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    pools: list[WorkerPool] = []
    models: dict[str, PinnedModel] = {}
    holds = contextlib.ExitStack()
    front = Front()
    observing = Observing(front, os.environ)
    memory = MemoryReturn()
    try:
        specs = await _inspect(target, nursery, function=function)
        if any(spec.model is not None for spec in specs):
            models = await asyncio.to_thread(_provide_models, specs, holds)
        pools = _start(specs, models, target, contract, nursery, reaper, workers=workers)
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
        port = await front.listen(contract.host, contract.port)
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
        nursery.stop()
        reaper.close()
        holds.close()


async def _inspect(target: Target, nursery: Nursery, *, function: str | None) -> list[FunctionSpec]:
    """Return the options of the functions to serve."""
    log_fd = os.dup(2)
    try:
        description = await inspect_app(nursery, replace(target, with_schemas=False), log_fd=log_fd)
    finally:
        os.close(log_fd)
    nursery.preload(description["imports"])
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
    target: Target,
    contract: Contract,
    nursery: Nursery,
    reaper: Reaper,
    *,
    workers: int,
) -> list[WorkerPool]:
    pools = []
    for spec in specs:
        name = spec.name
        environment = identity(contract.service or name, contract.revision or f"{name}-00001")
        environment["PORT"] = str(contract.port)
        environment |= models[name].variables() if name in models else {}
        pool = WorkerPool(
            spec,
            worker_target(target, spec, environment),
            nursery=nursery,
            reaper=reaper,
            open_log=lambda: os.dup(2),
            notify=lambda kind, detail: logger.info("%s %s", kind, detail),
        )
        pool.set_desired(workers)
        pools.append(pool)
    return pools


def parse_target(text: str) -> Target:
    """Return what ``module[:app]`` or ``FILE.py[:app]`` names, without importing it."""
    place, _, attribute = text.partition(":")
    named = attribute or DEFAULT_ATTRIBUTE
    if place.endswith(".py"):
        path = Path(place).resolve()
        return Target(
            root=str(path.parent), file=path.name, module=path.stem.replace("-", "_"), attribute=named, environment={}
        )
    return Target(root=os.getcwd(), file=None, module=place, attribute=named, environment={})
