"""The coordinator: rounds of training at clients, each remembered in the run's folder before the next begins."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import skerry
from skerry.errors import SkerryError, UnavailableError
from skerry.learn.federated.crew import Outcome
from skerry.learn.federated.events import Event
from skerry.learn.federated.messages import StartReply, StartTask
from skerry.learn.federated.packing import unpack_plain
from skerry.learn.federated.parameters import digest_of
from skerry.learn.federated.plan import SERVER, Plan
from skerry.learn.federated.record import Checkpoint, Record, write_request
from skerry.learn.federated.rounds import Round, Shared
from skerry.learn.federated.strategies.fedavg import FedAvg
from skerry.learn.federated.stub import clients

Place = str | skerry.Site | skerry.Platform


class Federation:
    """A run of federated learning: starts in its folder, or goes on from what is there.

    Args:
        folder: Of the run.
        plan: What it does; none goes on with the plan in the folder.
        places: Where the sites are that the plan names; those not named here are looked up in ``skerry.toml``.

    Example:
        ``Federation(Path("runs/digits"), plan).run()``
    """

    def __init__(self, folder: Path, plan: Plan | None = None, *, places: Mapping[str, Place] | None = None) -> None:
        self._folder = folder
        self._plan = plan
        self._places = dict(places or {})

    def run(self) -> None:
        """Run until the end, or until a person pauses or cancels it."""
        for _ in self.events():
            pass

    def events(self) -> Iterator[Event]:
        """Run, and yield what happens as it happens; the run goes on when the next one is asked for.

        Raises:
            ConfigError: the folder holds another run.
            UnavailableError: too few clients have answered; the run can be resumed.
        """
        with Record(self._folder, self._plan) as record:
            ended = threading.Event()
            shared = Shared(
                record=record,
                strategy=FedAvg(),
                apps=self._apps(record.plan),
                outcomes=queue.SimpleQueue[Outcome](),
                ended=ended,
            )
            try:
                yield from _rounds(shared)
            except SkerryError as error:
                record.tell("failed", reason=error.message)
                raise
            finally:
                ended.set()

    def _apps(self, plan: Plan) -> dict[str, Any]:
        """Return each client's app where it is; clients of one site share it, and its connections."""
        sites = {member.name: member.site for member in plan.members}
        if plan.server is not None:
            sites[SERVER] = plan.server
        views: dict[str | None, Any] = {None: clients.functions}
        for site in set(sites.values()) - {None}:
            views[site] = clients.at(self._places.get(str(site), str(site))).functions
        return {client: views[site] for client, site in sites.items()}


def _rounds(shared: Shared) -> Iterator[Event]:
    record, plan = shared.record, shared.record.plan
    checkpoint = record.latest()
    if checkpoint is None:
        yield record.tell("started", job=plan.job, rounds=plan.rounds, clients=plan.names)
        checkpoint = _begin(shared)
    else:
        yield record.tell("resumed", round=checkpoint.round, job=plan.job)
    write_request(record.folder, None)
    while checkpoint.round < plan.rounds:
        if record.request() is not None:
            break
        current = Round(shared, checkpoint)
        yield from current.events()
        if current.after is None:
            break
        checkpoint = current.after
    request = record.request()
    if checkpoint.round >= plan.rounds:
        yield record.tell("finished", round=checkpoint.round, model_digest=digest_of(checkpoint.model))
    elif request is not None:
        yield record.tell("cancelled" if request == "cancel" else "paused", round=checkpoint.round)


def _begin(shared: Shared) -> Checkpoint:
    """Get the model that the run begins with from the first client that has it, and keep it."""
    plan = shared.record.plan
    reply = _start(shared, plan.names, StartTask(settings=plan.settings, seed=plan.seed))
    model = unpack_plain(reply.model).astype(reply.layout.dtype)
    checkpoint = Checkpoint(
        round=0, layout=reply.layout, model=model, view=model, state=shared.strategy.start(model.size)
    )
    shared.record.commit(checkpoint, None)
    return checkpoint


def _start(shared: Shared, names: Sequence[str], task: StartTask) -> StartReply:
    reasons = []
    for name in names:
        try:
            reply: StartReply = shared.apps[name]["start"].remote(task)
        except SkerryError as error:
            reasons.append(f"{name}: {error.message}")
        else:
            return reply
    raise UnavailableError(f"no client could say with which model the run begins: {'; '.join(reasons)}")
