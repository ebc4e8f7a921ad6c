"""The embedded engine: one process with the front, the supervisor and the control API of one machine."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from skerry.engine.certificate import Certificate, own_certificate
from skerry.engine.chains.hosting import ChainHosting
from skerry.engine.control import Control, authorizer
from skerry.engine.deployment import Deployer
from skerry.engine.events.hosting import EventHosting
from skerry.engine.home import EngineInfo, Home
from skerry.engine.inputs import Inputs
from skerry.engine.jobs.runner import JobRunner
from skerry.engine.journal import Journal
from skerry.engine.models.serving import ModelServing
from skerry.engine.records import Records
from skerry.engine.sources.bundles import Bundles
from skerry.engine.strays import end_strays
from skerry.engine.supervisor import Supervisor
from skerry.engine.usage import UsageMeter
from skerry.runtime.confinement import become_subreaper, raise_file_limit
from skerry.runtime.front import Front, add_health_routes
from skerry.runtime.memory import MemoryReturn
from skerry.runtime.model_source import ModelSource
from skerry.runtime.observing import Observing
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.scaling import Decision
from skerry.spec import parse_endpoint
from skerry.store.inputs import InputStore
from skerry.version import __version__

DRAIN_LIMIT_S = 10.0
UNANSWERED_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where an engine answers.

    Args:
        host: Address; anything but loopback wants the token for every request.
        port: Port, 0 to let the system choose.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Return what ``HOST:PORT`` means.

        Raises:
            SpecError: it is not of that form.
        """
        host, port = parse_endpoint(text)
        return cls(host=host, port=port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicListen:
    """Where an engine answers to other machines: over TLS, everything but health with the token.

    Args:
        listen: Address and port.
        certificate: What it shows; none means its own, made when it is first needed.
    """

    listen: Listen
    certificate: Certificate | None = None


async def run_engine(
    home: Home,
    listen: Listen,
    *,
    public: PublicListen | None = None,
    target: str | None,
    on_ready: Callable[[str], None],
) -> None:
    """Run an engine until SIGTERM, SIGINT or a client's stop.

    Args:
        home: Its folder.
        listen: Where functions answer.
        public: Where it answers to other machines as well.
        target: An app to deploy before it is ready.
        on_ready: Called with the address once everything answers.

    Raises:
        EngineLockedError: another engine owns the folder.
        SkerryError: the app cannot be deployed.
        ConfigError: the certificate cannot be used.
        OSError: the address is in use.
    """
    loop = asyncio.get_running_loop()
    with home.lock(), Records(home.records) as records:
        become_subreaper()
        raise_file_limit()
        _clear(home, records)
        started, stopping = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        reaper = Reaper(loop)
        journal = Journal(records.events)
        front = Front(authorize=authorizer(home, is_loopback=listen.is_loopback), is_loopback=listen.is_loopback)
        observing = Observing(front, os.environ)
        memory = MemoryReturn()
        usage = UsageMeter(records.usage)
        supervisor = Supervisor(home, front=front, reaper=reaper, journal=journal, observing=observing, usage=usage)
        observing.decision_of = lambda pool: _decision_of(supervisor, pool)
        source = ModelSource.default(home.models)
        deployer = Deployer(home, records, supervisor, journal, source)
        models = ModelServing(records, supervisor, journal, source)
        jobs = JobRunner(records, supervisor)
        front.respond_async = jobs.submit
        chains = ChainHosting(home, records, supervisor, front)
        events = await EventHosting.open(home, records, supervisor, os.environ, chains.begin_for, observing)
        deployer.on_change = events.follow
        bundles = Bundles(home)
        control = Control(
            home,
            records,
            supervisor,
            deployer,
            bundles=bundles,
            watch=models.watch,
            flush=journal.flush,
            stop=stopping.set,
        )
        control.add_routes(front, jobs)
        for part in (bundles, models, events, chains, Inputs(InputStore(home.inputs), os.environ)):
            part.add_routes(front)
        add_health_routes(front, is_ready=lambda: started.is_set() and not stopping.is_set() and _can_serve(supervisor))
        try:
            # A client that comes back after a restart must never be told that its function is unknown.
            if not await _finish(deployer.restore(), unless=stopping):
                return
            await _take_up(jobs, events, chains, models)
            await _listen(front, home, control, listen, public)
            if target is not None:
                first = deployer.deploy(target, flags=[], settings=os.environ.get("SKERRY_SET", ""))
                if not await _finish(first, unless=stopping):
                    return
            started.set()
            info = EngineInfo(pid=os.getpid(), address=control.address, version=__version__)
            home.publish_engine(info)
            on_ready(control.address)
            await stopping.wait()
        finally:
            try:
                await front.stop_listening()
                await models.stop()
                deployer.stop()
                jobs.stop()
                events.stop()
                chains.stop()
                until_s = loop.time() + DRAIN_LIMIT_S
                await supervisor.stop(limit_s=DRAIN_LIMIT_S)
                await _see_off(front, observing, events, chains, until_s=until_s)
                memory.stop()
                jobs.finish()
                journal.flush()
                usage.stop()
            finally:
                reaper.close()


def _clear(home: Home, records: Records) -> None:
    """End and remove what engines before have left and nobody needs."""
    end_strays(home)
    home.forget_sources(but=records.apps.source_digests())


async def _take_up(jobs: JobRunner, events: EventHosting, chains: ChainHosting, models: ModelServing) -> None:
    """Go on with what the engine before has left."""
    jobs.recover()
    chains.start()
    await events.start()  # begins runs
    models.start()


async def _see_off(
    front: Front, observing: Observing, events: EventHosting, chains: ChainHosting, *, until_s: float
) -> None:
    """Send the answers that are due, and record what functions have said of events and of steps."""
    limit_s = max(UNANSWERED_S, until_s - asyncio.get_running_loop().time())
    await front.finish(limit_s=limit_s, patience_s=UNANSWERED_S)
    await observing.stop()
    await events.finish()
    await chains.finish()


def _decision_of(supervisor: Supervisor, pool: WorkerPool) -> Decision | None:
    served = supervisor.served.get(pool.spec.name)
    return served.autoscaler.decision if served is not None and served.pool is pool else None


def _can_serve(supervisor: Supervisor) -> bool:
    """Whether a request may find a function that takes it; one without workers does, for it can start some.

    An engine that has no functions yet waits for some, and one whose models are unloaded for their load: neither is
    broken.
    """
    served = supervisor.served.values()
    return not served or any(one.pool.dispatcher.refusal is None or not one.is_loaded for one in served)


async def _finish(work: Coroutine[Any, Any, Any], *, unless: asyncio.Event) -> bool:
    """Do what may take minutes, such as installing libraries; False when the event came before it was done."""
    task = asyncio.ensure_future(work)
    event = asyncio.ensure_future(unless.wait())
    await asyncio.wait([task, event], return_when=asyncio.FIRST_COMPLETED)
    event.cancel()
    if task.done():
        await task  # raises what it raised
        return True
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return False


async def _listen(front: Front, home: Home, control: Control, listen: Listen, public: PublicListen | None) -> None:
    """Open the engine's doors, and have the control API say where they are."""
    port = await front.listen(listen.host, listen.port)
    control.address = f"http://{_in_url(listen.host)}:{port}"
    await front.listen_unix(home.socket)
    if public is not None:
        control.public = await _listen_publicly(front, home, public)


async def _listen_publicly(front: Front, home: Home, public: PublicListen) -> dict[str, str]:
    """Listen over TLS; return what clients need to know: the address, the certificate and its fingerprint."""
    host = public.listen.host
    home.token()  # made now, so that it can be copied from its file before anybody has asked for it
    certificate = public.certificate
    if certificate is None:
        certificate = await asyncio.to_thread(own_certificate, home, host)
    port = await front.listen(host, public.listen.port, tls=certificate.context())
    return {
        "address": f"https://{_in_url(host)}:{port}",
        "certificate": str(certificate.certificate),
        "fingerprint": certificate.fingerprint,
    }


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
