"""The replies of a round: who is asked, what comes, what is written down."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from skerry.errors import SkerryError, UnavailableError
from skerry.learn.federated.coordinator.agreement import remembered_rounds
from skerry.learn.federated.coordinator.conversation import Talk
from skerry.learn.federated.coordinator.crew import Crew, Outcome
from skerry.learn.federated.coordinator.remembered import carry
from skerry.learn.federated.coordinator.shared import Answer, Shared
from skerry.learn.federated.coordinator.tasks import Tasks, pack_control
from skerry.learn.federated.policies.deadlines import abandoned, decide, quorum
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.record import Checkpoint
from skerry.learn.federated.record.reply_log import BASE, ReplyLog
from skerry.learn.federated.strategies.base import Received
from skerry.learn.federated.wire.checks import Expected, check_reply
from skerry.learn.federated.wire.messages import FitReply

MOST_SITES = 3  # that a message names one by one
LOOK_S = 0.5  # between looks at whether a person has asked for something, while no reply comes


class Collection:
    """The training of one round.

    Args:
        shared: What all rounds have in common.
        tasks: The round's.
        before: The checkpoint of the round before.
        log: Where replies are written down.
    """

    def __init__(self, shared: Shared, tasks: Tasks, before: Checkpoint, log: ReplyLog) -> None:
        self._shared = shared
        self._tasks = tasks
        self._number = tasks.round
        self._given_before = before.given
        self._log = log
        self._patience = shared.record.plan.patience
        self._instructions = shared.strategy.instruct(before.state)
        self._control = pack_control(self._instructions.control, tasks.layout)
        self._expires_s = time.time() + self._patience.deadline_s * (self._patience.late_rounds + 1)
        self._clients = frozenset(shared.histories)
        self._replied = {(entry.client, entry.round) for entry in log.entries}
        self._answered = {client for client, round in self._replied if round == self._number}
        self._pending: set[str] = set()
        self.chosen: tuple[str, ...] = ()
        self.missed: dict[str, str] = {}
        self.refused: list[tuple[str, str]] = []
        self.bytes_down = 0
        self.send_s = 0.0

    def events(self) -> Iterator[Event]:
        """Ask clients, and write down what comes, until the round has enough.

        Raises:
            UnavailableError: it will not have enough.
        """
        yield from self._choose()
        self._pending = set(self.chosen) - self._answered
        self._shared.digests[self._number] = self._tasks.outgoing.digest
        self._hold_given()
        self._recall()
        yield self._tell("round-started", chosen=self.chosen, answered=sorted(self._answered))
        began_s = time.monotonic()
        # One for all of them: they are given up together, see `abandoned`.
        self._shared.talks.update(dict.fromkeys(self._pending, threading.Event()))
        crew = Crew(
            self._number,
            sorted(self._pending),
            self._fit,
            self._shared.outcomes,
            threads=self._shared.threads,
            size=self._shared.record.plan.in_flight,
        )
        yield from self._collect(began_s)
        self._log.begin_sync(self._shared.threads.start)  # whoever uses the replies waits for it
        for client in crew.close():
            self._fail(client, "the round ended before its turn came")
        if self._shared.record.request() != "cancel":
            self._check_enough(time.monotonic() - began_s)
            self._carry()
        for client in sorted(self._pending):
            self._shared.histories[client] = self._shared.histories[client].missed_round(self._number)
            self.missed[client] = "no reply before the round's end"
            yield self._tell("missed", client, reason=self.missed[client])

    # Who is asked

    def _choose(self) -> Iterator[Event]:
        shared, number = self._shared, self._number
        plan = shared.record.plan
        kept = shared.record.chosen(number)
        if kept is not None:
            self.chosen = kept
            return
        for client in abandoned(shared.histories, number, self._patience):
            shared.talks[client].set()
            shared.histories[client] = shared.histories[client].failed(
                shared.histories[client].open_round, "its reply was given up"
            )
        count = plan.clients_per_round or len(plan.members)
        while not (chosen := shared.selection.choose(shared.histories, number, count, plan.seed)):
            # All of them still work for earlier rounds: the next one to be free will be asked.
            try:
                yield self._take(shared.outcomes.get(timeout=LOOK_S))
            except queue.Empty:
                if shared.record.request() == "cancel":
                    return
        self.chosen = chosen
        if plan.selection != "all" or len(chosen) < len(plan.members):  # else it would be made again in the same way
            shared.record.choose(number, chosen)

    def _hold_given(self) -> None:
        """Hold the models that somebody works from: a late reply is written down with its own."""
        given, histories = self._shared.given, self._shared.histories.values()
        given[self._number] = self._tasks.outgoing.view
        for round in set(given) - {self._number, *(history.open_round for history in histories)}:
            del given[round]

    def _recall(self) -> None:
        """Write the round's beginning into histories, and what was answered to an earlier coordinator."""
        histories = self._shared.histories
        for client in self.chosen:
            histories[client] = histories[client].asked(self._number)
        for entry in self._log.entries:
            reply, facts = self._log.read(entry)
            self._shared.used.use(reply.token)
            if entry.round == self._number:
                self._remember(reply, facts["duration_s"])

    def _remember(self, reply: FitReply, duration_s: float) -> None:
        histories = self._shared.histories
        histories[reply.client] = histories[reply.client].answered(
            reply.round, duration_s=duration_s, examples=reply.examples, arrived=self._number
        )

    # What comes

    def _fit(self, client: str) -> Answer:
        shared = self._shared
        began_s = time.monotonic()

        def task(holds: str | None) -> Any:
            return self._tasks.fit(
                client,
                holds=holds,
                instructions=self._instructions,
                control=self._control,
                secret=shared.record.secret,
                expires_s=self._expires_s,
            )

        talk: Talk[FitReply] = Talk(
            function=shared.fit_of(client),
            short=lambda: task(shared.holds.get(client)),
            whole=lambda: task(None),
            ended=shared.talks[client],
            room=shared.room,
            door=shared.outcomes if shared.room.is_scarce else None,
            calls=shared.calls,
            contact=shared.contacts.of(client, self._number),
        )
        return Answer(
            reply=talk.run(), duration_s=time.monotonic() - began_s, send_s=talk.send_s, bytes_down=talk.bytes_down
        )

    def _collect(self, began_s: float) -> Iterator[Event]:
        while self._pending:
            decision = decide(
                time.monotonic(),
                began_s,
                chosen=self.chosen,
                answered=self._answered,
                in_flight=self._pending,
                histories=self._shared.histories,
                settings=self._patience,
            )
            if decision.end or decision.wait_s <= 0:
                return
            try:
                outcome = self._shared.outcomes.get(timeout=min(decision.wait_s, LOOK_S))
            except queue.Empty:
                self._log.sync()
                if self._shared.record.request() == "cancel":
                    return
                continue
            yield self._take(outcome)

    def _take(self, outcome: Outcome) -> Event:
        """Write down what became of a task, of this round or an earlier one."""
        client, is_late = outcome.client, outcome.round != self._number
        if not is_late:
            self._pending.discard(client)
        if outcome.error is not None:
            return self._fail(client, outcome.error.message, outcome.round)
        answer: Answer = outcome.value
        reply: FitReply = answer.reply
        self.bytes_down += answer.bytes_down
        self.send_s = max(self.send_s, answer.send_s)
        try:
            received = self._check(reply, outcome)
        except SkerryError as error:
            self.refused.append((client, error.message))
            self._fail(client, error.message, outcome.round)
            because = getattr(error, "reason", error.code)
            return self._tell("refused", client, reason=error.message, because=because, of_round=outcome.round)
        self._shared.holds[client] = reply.model_digest
        plan = self._shared.record.plan
        if is_late and (plan.secure is not None or not plan.keep_late):
            self._remember(reply, answer.duration_s)
            return self._tell("missed", client, reason="its reply came too late", of_round=outcome.round)
        if is_late:
            # Read again when it counts: by then its model need not be in memory any more.
            facts = {"duration_s": answer.duration_s, BASE: self._shared.given[outcome.round]}
            self._log.append(reply, facts)
        else:
            self._log.append(reply, {"duration_s": answer.duration_s}, received)
        self._replied.add((client, outcome.round))
        self._shared.used.use(reply.token)
        if not is_late:
            self._answered.add(client)
        self._remember(reply, answer.duration_s)
        return self._tell(
            "late" if is_late else "replied",
            client,
            examples=reply.examples,
            duration_s=answer.duration_s,
            train_s=reply.train_s,
            metrics=reply.metrics,
            of_round=outcome.round,
        )

    def _carry(self) -> None:
        """Have the last updates of those count that were not heard."""
        record = self._shared.record
        rounds = remembered_rounds(record.plan)
        before = record.log_before(self._number) if rounds else None
        if before is None:
            return
        try:
            carry(before, self._log, given=self._given_before, round=self._number, rounds=rounds)
        finally:
            before.close()
        self._log.sync()

    def _fail(self, client: str, reason: str, round: int | None = None) -> Event:
        round = self._number if round is None else round
        self._shared.histories[client] = self._shared.histories[client].failed(round, reason)
        if round == self._number:
            self._pending.discard(client)
            self.missed[client] = reason
        return self._tell("missed", client, reason=reason, of_round=round)

    def _check(self, reply: FitReply, outcome: Outcome) -> Received:
        shared, plan = self._shared, self._shared.record.plan
        return check_reply(
            reply,
            Expected(
                job=plan.job,
                round=outcome.round,
                client=outcome.client,
                model_digest=shared.digests[outcome.round],
                layout=self._tasks.layout,
                clients=self._clients,
                secret=shared.record.secret,
                used=shared.used,
                now_s=time.time(),
                most_examples=plan.most_examples,
                coding=plan.coding,
                control=self._control is not None,
                replied=(outcome.client, outcome.round) in self._replied,
                staleness=self._number - outcome.round,
                most_staleness=plan.late_rounds,
                largest_norm=plan.largest_norm,
                secure=plan.secure is not None,
            ),
        )

    def _check_enough(self, passed_s: float) -> None:
        needed = quorum(len(self.chosen), self._patience)
        if self._log.entries and (len(self._answered) >= needed or passed_s >= self._patience.deadline_s):
            return
        reasons = "; ".join(f"{name}: {why}" for name, why in sorted(self.missed.items()))
        raise UnavailableError(
            f"round {self._number}: {len(self._answered)} of {len(self.chosen)} clients have answered, {needed} are "
            f"needed" + (f": {reasons}" if reasons else ""),
            hint=self._what_to_do(),
        )

    def _what_to_do(self) -> str:
        """Return how a run that has failed goes on: a mended file trains only once it is deployed where it failed."""
        record, home = self._shared.record, self._shared.contacts.home_words
        at = {member.site for member in record.plan.members if member.name in self.missed}
        sites = sorted(site for site in at if site is not None)
        deploys = [f"`skerry deploy FILE{home}`"] if None in at else []
        deploys += [f"`skerry deploy FILE --site {site}`" for site in sites[:MOST_SITES]]
        deploys += ["so at each site"] if len(sites) > MOST_SITES else []
        return (
            f"mend what is said there; where that is the client's file, deploy it again: {', '.join(deploys)}; then go "
            f"on: `skerry federate resume {record.folder}{home}`. A run's quorum stays: a lower one needs another run"
        )

    def _tell(self, kind: Any, client: str | None = None, **facts: Any) -> Event:
        return self._shared.record.tell(kind, self._number, client, **facts)
