"""The coordinator: rounds of training at clients, each remembered in the run's folder before the next begins."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import skerry
from skerry.app.places import find_site
from skerry.errors import ConfigError, DataError, SkerryError, SpecError, UnavailableError
from skerry.learn.federated.coordinator.agreement import check_plan, remembered_rounds
from skerry.learn.federated.coordinator.contact import Contacts
from skerry.learn.federated.coordinator.crew import Outcomes
from skerry.learn.federated.coordinator.downlink import send_first, send_whole
from skerry.learn.federated.coordinator.room import Room
from skerry.learn.federated.coordinator.rounds import Round
from skerry.learn.federated.coordinator.shared import Shared
from skerry.learn.federated.coordinator.stub import clients
from skerry.learn.federated.plan import SERVER, Plan
from skerry.learn.federated.policies.history import History, from_json
from skerry.learn.federated.privacy.central import PrivateMean
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.record import Checkpoint, Record, write_request
from skerry.learn.federated.selection import make_selection
from skerry.learn.federated.strategies import STRATEGIES, find_strategy
from skerry.learn.federated.strategies.base import Strategy
from skerry.learn.federated.wire.coding.packing import unpack
from skerry.learn.federated.wire.messages import StartReply, StartTask
from skerry.learn.federated.wire.parameters import digest_of
from skerry.platforms.engine.site import site_platform
from skerry.platforms.home import home_words

WAITING = 4  # outcomes that have come and were not looked at yet
PATIENCE_S = 5.0  # talks try again by themselves, and tell that a site is lost; what is inside a call cannot
CANCEL_S = 5.0  # a call that is being handed over has a place within two

Place = str | skerry.Site | skerry.Platform


class Federation:
    """A run of federated learning: starts in its folder, or goes on from what is there.

    Args:
        folder: Of the run.
        plan: What it does; none goes on with the plan in the folder.
        places: Where the sites are that the plan names; those not named here are looked up in ``skerry.toml``. None
            stands for the engine on this machine.
        strategy: One of your own, whose name the plan has; to be given again when the run goes on. None makes the
            strategy that the plan names.

    Raises:
        SpecError: parts of the plan do not go together.

    Example:
        ``Federation(Path("runs/digits"), plan).run()``
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan | None = None,
        *,
        places: Mapping[str | None, Place] | None = None,
        strategy: Strategy | None = None,
    ) -> None:
        if strategy is not None and strategy.name in STRATEGIES:
            raise SpecError(f"strategy {strategy.name!r} is there already; give yours a name of its own")
        if plan is not None:
            check_plan(plan)
            make_strategy(plan, strategy)
        self._folder = folder
        self._plan = plan
        self._places = dict(places or {})
        self._strategy = strategy

    def run(self) -> None:
        """Run until the end, or until a person pauses or cancels it."""
        for _ in self.events():
            pass

    def events(self, watch: Callable[[Event], None] | None = None) -> Iterator[Event]:
        """Run, and yield what happens as it happens; the run goes on when the next one is asked for.

        Args:
            watch: Called, from other threads, when a place does not answer any more (``unreachable``) and when it is
                back (``back``): that comes while nothing else happens, and is not yielded.

        Raises:
            ConfigError: the folder holds another run.
            UnavailableError: too few clients have answered; the run can be resumed.
        """
        with Record(self._folder, self._plan) as record:
            if record.request() == "cancel":
                raise ConfigError(f"the run in {self._folder} was cancelled; begin another one in another folder")
            strategy = make_strategy(record.plan, self._strategy)
            try:
                yield from self._rounds(record, strategy, watch)
            except SkerryError as error:
                record.tell("failed", reason=error.message)
                raise

    def _rounds(self, record: Record, strategy: Strategy, watch: Callable[[Event], None] | None) -> Iterator[Event]:
        plan = record.plan
        selection = make_selection(plan.selection, plan.selection_options)
        apps = self._apps(plan)
        checkpoint = record.latest()
        if checkpoint is None:
            yield record.tell("started", job=plan.job, rounds=plan.rounds, clients=plan.names)
            checkpoint = _begin(record, strategy, apps)
        else:
            record.tidy(checkpoint.round)
            yield record.tell("resumed", checkpoint.round, job=plan.job, rounds=plan.rounds, clients=plan.names)
        if record.request() == "pause":
            write_request(record.folder, None)
        room = Room(checkpoint.model.nbytes, plan.in_flight)
        shared = Shared(
            record=record,
            strategy=strategy,
            selection=selection,
            apps=apps,
            histories=_histories(plan, checkpoint),
            outgoing=send_whole(checkpoint.view)
            if checkpoint.round
            else send_first(checkpoint.model, plan.down_coding),
            outcomes=Outcomes(min(room.places, WAITING)),
            room=room,
            contacts=Contacts(record, watch, _home_words(self._places.get(None))),
        )
        # What is there by now stays: a full collection would look at all of it, for as long as two short rounds take.
        gc.freeze()
        try:
            while checkpoint.round < plan.rounds and record.request() is None:
                current = Round(shared, checkpoint)
                yield from current.events()
                checkpoint = current.after or checkpoint
        finally:
            gc.unfreeze()
            shared.end_talks()
        if checkpoint.round >= plan.rounds or record.request() == "cancel":
            shared.calls.cancel(limit_s=CANCEL_S)  # those of a run that is resumed are taken up again
        if checkpoint.round >= plan.rounds:
            yield record.tell("finished", checkpoint.round, model_digest=digest_of(checkpoint.model))
        else:
            cancelled = record.request() == "cancel"
            yield record.tell("cancelled" if cancelled else "paused", checkpoint.round)

    def _apps(self, plan: Plan) -> dict[str, Any]:
        """Return each client's app where it is; clients of one site share it, and its connections."""
        sites = {member.name: member.site for member in plan.members}
        if plan.server is not None:
            sites[SERVER] = plan.server
        views: dict[str | None, Any] = {}
        for site in set(sites.values()):
            place = _patient(self._places.get(site, site))
            views[site] = (clients if place is None else clients.at(place)).functions
        if plan.secure is not None:
            _require_jobs(views)
        return {client: views[site] for client, site in sites.items()}


def _home_words(place: Place | None) -> str:
    """Return what names the engine of this machine in a command line; nothing where no folder is known."""
    address = str(getattr(place, "address", ""))
    return home_words(Path(address).parent) if address.startswith("/") else ""


def _patient(place: Place | None) -> Place | None:
    """Return a place whose calls give up soon, where it is an engine; a cluster may take long to start a pod."""
    if isinstance(place, str):
        place = find_site(place, folders=[Path.cwd()])
    if isinstance(place, skerry.Site) and not place.is_cluster:
        return site_platform(place, patience_s=PATIENCE_S)
    return place


def _require_jobs(views: Mapping[str | None, Any]) -> None:
    """Refuse places where the functions of a client do not share what one of them keeps for the next.

    Raises:
        ConfigError: there is one.
    """
    for site, functions in views.items():
        if not functions["fit"].keeps_jobs:
            raise ConfigError(
                f"secure aggregation does not go with site {site!r}: there, fit and secure run in different pods, and "
                "neither sees what the other keeps",
                hint="leave --secure out, or have that client on an engine",
            )


def make_strategy(plan: Plan, own: Strategy | None = None) -> Strategy:
    """Return the strategy of a plan.

    Args:
        plan: Of the run.
        own: The user's, which has its options already; none makes the one that the plan names.

    Raises:
        SpecError: there is no such strategy, it has no such option, or it does not go with the rest of the plan.
    """
    if own is not None and own.name != plan.strategy:
        raise SpecError(f"the plan names the strategy {plan.strategy!r}, and the one given is {own.name!r}")
    options = plan.strategy_options
    if remembered_rounds(plan):
        # What is remembered stands for what a client would send now: it counts in full, unless the plan says otherwise.
        options = {"late_exponent": 0.0, **options}
    strategy = own or find_strategy(plan.strategy, **options)
    if plan.central is None:
        return strategy
    return PrivateMean(
        strategy=strategy,
        clip_norm=plan.central.clip_norm,
        noise_multiplier=plan.central.noise_multiplier,
        clients_per_round=plan.clients_per_round or len(plan.members),
    )


def _histories(plan: Plan, checkpoint: Checkpoint) -> dict[str, History]:
    """Return the clients' histories; what an earlier coordinator still waited for is lost with it."""
    histories = {name: History(client=name) for name in plan.names} | from_json(checkpoint.histories)
    for name, history in histories.items():
        if history.busy:
            histories[name] = history.failed(history.open_round, "the coordinator that had asked has ended")
    return histories


def _begin(record: Record, strategy: Strategy, apps: Mapping[str, Any]) -> Checkpoint:
    """Get the model that the run begins with from the first client that has it, and keep it."""
    plan = record.plan
    reply = _start(apps, plan.names, StartTask(settings=plan.settings, seed=plan.seed))
    model = unpack(reply.model, reply.layout.dtype_name)
    if model.shape != (reply.layout.size,):
        raise DataError(f"the model has {model.size} parameters, and its layout says {reply.layout.size}")
    checkpoint = Checkpoint(round=0, layout=reply.layout, model=model, view=model, state=strategy.start(model.size))
    record.commit(checkpoint, None)
    return checkpoint


def _start(apps: Mapping[str, Any], names: Sequence[str], task: StartTask) -> StartReply:
    reasons = []
    for name in names:
        try:
            reply: StartReply = apps[name]["start"].remote(task)
        except SkerryError as error:
            reasons.append(f"{name}: {error.message}")
        else:
            return reply
    raise UnavailableError(f"no client could say with which model the run begins: {'; '.join(reasons)}")
