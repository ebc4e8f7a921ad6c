"""The life of chains in the engine."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets

from skerry.engine.chains.checking import check_fusible
from skerry.engine.chains.giving import Giver
from skerry.engine.chains.routes import ChainRoutes
from skerry.engine.home import Home
from skerry.engine.records import Records
from skerry.engine.supervisor import Supervisor
from skerry.errors import ConfigError, FunctionNotFoundError, PrivacyError, SkerryError
from skerry.events.chain.conductor import Conductor, Order
from skerry.events.chain.journal import RunJournal, RunRecord
from skerry.events.claims import identity_of
from skerry.events.feed import Outcome, Parcel
from skerry.observe.trace_context import SAMPLED, TraceContext, parse_traceparent
from skerry.payload import MSGPACK, Event, encode, event_http
from skerry.runtime.front import Front
from skerry.spec import FunctionSpec
from skerry.spec.chain import ChainPlan

logger = logging.getLogger(__name__)
BEGIN_AGAIN_S = 1.0


class ChainHosting:
    """Begins runs of the chains that are deployed.

    Args:
        home: The engine's folder.
        records: What is deployed.
        supervisor: What serves.
        front: Where its addresses are.

    Raises:
        ConfigError: the journal cannot be used.
    """

    def __init__(self, home: Home, records: Records, supervisor: Supervisor, front: Front) -> None:
        self._supervisor = supervisor
        self._beginning: set[asyncio.Task[None]] = set()

        def deployed() -> set[str]:
            return {revision.function for revision in records.apps.active()}

        self.conductor = Conductor(RunJournal(home.chains), Giver(supervisor, front, deployed))

    def add_routes(self, front: Front) -> None:
        """Serve the addresses of chains and runs on a front."""
        ChainRoutes(self).add(front)

    def start(self) -> None:
        """Go on with the runs of the engine that was here before."""
        self.conductor.resume()

    def stop(self) -> None:
        """Begin nothing more."""
        self.conductor.stop()

    async def finish(self) -> None:
        """Write down what functions have answered; nothing answers any more."""
        if self._beginning:
            await asyncio.wait(self._beginning)
        await self.conductor.close()

    def chains(self) -> dict[str, ChainPlan]:
        """Return the plans of the chains that are served, by name."""
        specs = ((name, served.pool.spec) for name, served in sorted(self._supervisor.served.items()))
        return {name: spec.chain for name, spec in specs if spec.chain is not None}

    async def begin(
        self,
        chain: str,
        value: bytes,
        *,
        mode: str | None = None,
        id: str | None = None,
        traceparent: str | None = None,
        same_machine: bool = True,
    ) -> RunRecord:
        """Begin a run; return once it is durable.

        Args:
            chain: The chain's name.
            value: What the first step is given, as MessagePack.
            mode: ``separated`` or ``fused``; none means what the chain says.
            id: What the run is known by; none means a new one.
            traceparent: The caller's place in a trace.
            same_machine: Whether the caller is on this machine.

        Raises:
            FunctionNotFoundError: there is no such chain.
            PrivacyError: a function of it is labelled ``local``, and the caller is on another machine.
            ConfigError: it cannot run so.
        """
        plan = self.plan(chain)
        chosen = mode or plan.mode
        if chosen not in ("separated", "fused"):
            raise ConfigError(f"mode = {mode!r}: write 'separated' or 'fused'", field="mode")
        specs = self._specs(plan)
        local = any(spec.local for spec in specs)
        if not same_machine and local:
            raise PrivacyError(f"chain {chain!r} has functions that are labelled local: begin it on its site itself")
        if chosen == "fused":
            check_fusible(chain, self._supervisor.find(chain).pool.spec, specs)
        order = Order(
            chain=chain, plan=plan, mode=chosen, value=value, traceparent=_trace(traceparent), id=id, local=local
        )
        return await self.conductor.begin(order)

    def begin_for(self, chain: str, parcel: Parcel) -> None:
        """Begin a run for each event of a parcel; the events are dealt with once their runs are durable.

        An event has one run of a chain: given again, it begins nothing.
        """
        task = asyncio.get_running_loop().create_task(self._begin_for(chain, parcel))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin_for(self, chain: str, parcel: Parcel) -> None:
        try:
            headers = {"content-type": parcel.content_type}
            is_batch = event_http.is_batch(headers)
            events = Event.from_batch(parcel.body) if is_batch else [Event.from_http(headers, parcel.body)]
            for event in events:
                digest = hashlib.sha256("\0".join(identity_of(event)).encode()).hexdigest()[:32]
                await self.begin(
                    chain,
                    encode(event.data, MSGPACK),
                    id=f"{chain}-{digest}",
                    traceparent=str(event.extensions.get("traceparent", "")),
                )
        except SkerryError as error:
            wait_s = error.details.get("retry_after_s")
            parcel.on_outcome(Outcome(error.http_status, error.message, wait_s))
        except Exception as error:  # without an answer, the event would wait for ever, and all behind it
            logger.exception("chain %s", chain)
            parcel.on_outcome(Outcome(503, f"{type(error).__name__}: {error}", BEGIN_AGAIN_S))
        else:
            parcel.on_outcome(Outcome(200))

    def plan(self, chain: str) -> ChainPlan:
        """Return a chain's plan.

        Raises:
            FunctionNotFoundError: there is no such chain.
        """
        found = self.chains()
        if chain not in found:
            raise FunctionNotFoundError(f"no chain {chain!r} here; there are: {', '.join(found) or 'none'}")
        return found[chain]

    def workers(self, chain: str, plan: ChainPlan) -> dict[str, dict[str, int]]:
        """Return how many workers do separated and fused runs now, and the memory that they have."""
        served = self._supervisor.served
        found = {}
        for mode, names in (("separated", plan.functions), ("fused", (chain,))):
            pools = [served[name].pool for name in names if name in served]
            found[mode] = {
                "workers": sum(len(pool.workers) for pool in pools),
                "memory_bytes": sum(pool.memory_bytes() for pool in pools),
            }
        return found

    def is_private(self, record: RunRecord) -> bool:
        """Whether what a run passes on does not leave this machine; so where its chain is not known any more."""
        if record.local:
            return True
        plan = self.chains().get(record.chain)
        return plan is None or any(spec.local for spec in self._specs(plan))

    def _specs(self, plan: ChainPlan) -> list[FunctionSpec]:
        served = self._supervisor.served
        return [served[name].pool.spec for name in plan.functions if name in served]


def _trace(traceparent: str | None) -> str:
    """Return the place in a trace that all steps of a run go below: the caller's, or that of a new trace."""
    given = None if traceparent is None else parse_traceparent(traceparent)
    context = given or TraceContext(secrets.token_hex(16), secrets.token_hex(8), SAMPLED)
    return context.traceparent
