"""One round: tasks out, replies in, the next model."""

from __future__ import annotations

import hashlib
import hmac
import math
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skerry.errors import DataError, UnavailableError
from skerry.learn.federated.conversation import Talk
from skerry.learn.federated.crew import Crew, Outcome
from skerry.learn.federated.events import Event
from skerry.learn.federated.messages import EvaluateReply, EvaluateTask, FitReply, FitTask, Packed
from skerry.learn.federated.packing import pack_plain, unpack_plain
from skerry.learn.federated.parameters import Vector, digest_of
from skerry.learn.federated.plan import SERVER, seed_of
from skerry.learn.federated.record import Checkpoint, Record
from skerry.learn.federated.reply_log import RecordedReplies, ReplyLog
from skerry.learn.federated.results import ClientResult, EvaluationResult, RoundResult, mean_metrics
from skerry.learn.federated.strategies.base import Received, Strategy

LOOK_S = 0.5  # between looks at whether a person has asked for something, while no reply comes


@dataclass(slots=True, kw_only=True)
class Shared:
    """What all rounds of one coordinator have in common.

    Args:
        record: Of the run.
        strategy: Makes the models.
        apps: The functions of each client's app, by client.
        outcomes: What the threads bring, those of earlier rounds included.
        ended: Set when the coordinator ends.
        holds: The digest of the model that each client is known to hold.
        busy: Clients that have not answered an earlier round yet.
    """

    record: Record
    strategy: Strategy
    apps: dict[str, Any]
    outcomes: queue.SimpleQueue[Outcome]
    ended: threading.Event
    holds: dict[str, str] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Answer:
    """A client's reply with what its talk has cost."""

    reply: Any
    duration_s: float
    bytes_down: int


class Round:
    """A round that runs, or goes on where an earlier coordinator has ended.

    Args:
        shared: What all rounds have in common.
        before: The checkpoint of the round before.
    """

    def __init__(self, shared: Shared, before: Checkpoint) -> None:
        self.after: Checkpoint | None = None
        self._shared = shared
        self._record = shared.record
        self._plan = shared.record.plan
        self._before = before
        self.number = before.round + 1
        self._digest = digest_of(before.view)
        self._model = pack_plain(before.view)
        self._instructions = shared.strategy.instruct(before.state)
        self._chosen: tuple[str, ...] = ()
        self._pending: set[str] = set()
        self._missed: dict[str, str] = {}
        self._refused: list[tuple[str, str]] = []
        self._bytes_down = 0

    def events(self) -> Iterator[Event]:
        """Run the round; `after` is none afterwards if it was cancelled."""
        log = self._record.log(self.number)
        try:
            yield from self._run(log)
        finally:
            log.close()

    def _run(self, log: ReplyLog) -> Iterator[Event]:
        tell, number = self._record.tell, self.number
        began_at, began_s = time.time(), time.monotonic()
        answered = {entry.client for entry in log.entries if entry.round == number}
        self._chosen = self._choose()
        self._pending = set(self._chosen) - answered
        self._shared.busy.update(self._pending)
        yield tell("round-started", number, chosen=self._chosen, answered=sorted(answered))
        crew = Crew(number, sorted(self._pending), self._fit, self._shared.outcomes, size=self._plan.in_flight)
        yield from self._collect(log, began_s)
        self._shared.busy.difference_update(crew.close())
        if self._record.request() == "cancel":
            return
        self._check_quorum(log)
        collected_s = time.monotonic()

        model, state = self._shared.strategy.aggregate(
            self._before.model, self._before.state, RecordedReplies(log, self._received)
        )
        if not np.isfinite(model).all():
            raise DataError(f"round {number}: the new model holds numbers that are not finite")
        aggregated_s = time.monotonic()
        yield tell("aggregated", number, replies=len(log.entries))

        evaluations = self._evaluate(model) if self._plan.evaluates(number) else {}
        mean = mean_metrics([(e.examples, e.metrics) for name, e in evaluations.items() if name != SERVER])
        if evaluations:
            yield tell("evaluated", number, metrics=mean, server=_metrics_of(evaluations.get(SERVER)))
        replies = self._results(log)
        result = RoundResult(
            round=number,
            started_at=began_at,
            ended_at=time.time(),
            chosen=self._chosen,
            replies=replies,
            missed=self._missed,
            refused=tuple(self._refused),
            evaluations=evaluations,
            metrics=mean,
            phases_s={
                "wait": collected_s - began_s,
                "train": max((reply.train_s for reply in replies), default=0.0),
                "aggregate": aggregated_s - collected_s,
                "evaluate": time.monotonic() - aggregated_s,
            },
            bytes_down=self._bytes_down,
            bytes_up=sum(reply.bytes_up for reply in replies),
            model_digest=digest_of(model),
        )
        score = (_metrics_of(evaluations.get(SERVER)) or mean).get(self._plan.best_metric)
        best = self._before.best
        is_best = score is not None and (best is None or score > best)
        after = Checkpoint(
            round=number,
            layout=self._before.layout,
            model=model,
            view=model,
            state=state,
            best=score if is_best else best,
        )
        self._record.commit(after, result, best=is_best)
        self.after = after
        yield tell("round-ended", number, result=result.model_dump(mode="json"))

    # Who takes part

    def _choose(self) -> tuple[str, ...]:
        return self._plan.names

    # Training

    def _fit(self, client: str) -> Answer:
        began_s = time.monotonic()
        held = self._shared.holds.get(client) == self._digest
        talk: Talk[FitReply] = Talk(
            function=self._shared.apps[client]["fit"],
            short=lambda: self._fit_task(client, None if held else self._model),
            whole=lambda: self._fit_task(client, self._model),
            ended=self._shared.ended,
        )
        return Answer(talk.run(), time.monotonic() - began_s, talk.bytes_down)

    def _fit_task(self, client: str, model: Packed | None) -> FitTask:
        control = self._instructions.control
        return FitTask(
            job=self._plan.job,
            round=self.number,
            client=client,
            token=self._token(client),
            layout=self._before.layout,
            model_digest=self._digest,
            model=model,
            coding=self._plan.coding,
            seed=seed_of(self._plan.seed, self.number, client),
            settings=self._plan.settings,
            proximal=self._instructions.proximal,
            control=None if control is None else pack_plain(control),
            privacy=self._plan.privacy,
        )

    def _token(self, client: str) -> str:
        claims = f"{self._plan.job}/{self.number}/{client}/{self._digest}"
        return hmac.new(self._record.secret, claims.encode(), hashlib.sha256).hexdigest()

    def _collect(self, log: ReplyLog, began_s: float) -> Iterator[Event]:
        """Write down replies as they come, until all are in, or enough at the deadline."""
        deadline_s = self._plan.deadline_s
        while self._pending:
            left_s = LOOK_S if deadline_s is None else began_s + deadline_s - time.monotonic()
            if left_s <= 0:
                if len(log.entries) >= self._plan.quorum(len(self._chosen)):
                    break
                left_s = LOOK_S
            try:
                outcome = self._shared.outcomes.get(timeout=min(left_s, LOOK_S))
            except queue.Empty:
                if self._record.request() == "cancel":
                    return
                continue
            yield self._take(outcome, log)
        for client in sorted(self._pending):
            self._missed[client] = "no reply before the round's end"
            yield self._record.tell("missed", self.number, client, reason=self._missed[client])

    def _take(self, outcome: Outcome, log: ReplyLog) -> Event:
        client, number = outcome.client, self.number
        self._shared.busy.discard(client)
        is_late = outcome.round != number
        if not is_late:
            self._pending.discard(client)
        if outcome.error is not None:
            if not is_late:
                self._missed[client] = outcome.error.message
            return self._record.tell("missed", number, client, reason=outcome.error.message, of_round=outcome.round)
        answer: Answer = outcome.value
        self._bytes_down += answer.bytes_down
        try:
            self._check(answer.reply, outcome)
        except DataError as error:
            self._refused.append((client, error.message))
            return self._record.tell("refused", number, client, reason=error.message, of_round=outcome.round)
        self._shared.holds[client] = answer.reply.model_digest
        log.append(answer.reply, {"duration_s": answer.duration_s})
        log.sync()
        return self._record.tell(
            "late" if is_late else "replied",
            number,
            client,
            examples=answer.reply.examples,
            duration_s=answer.duration_s,
            train_s=answer.reply.train_s,
            of_round=outcome.round,
        )

    def _check(self, reply: FitReply, outcome: Outcome) -> None:
        if (reply.job, reply.round, reply.client) != (self._plan.job, outcome.round, outcome.client):
            raise DataError(f"client {outcome.client!r}: its reply is for another task")
        received = self._received(reply)
        if received.delta.shape != self._before.model.shape or not np.isfinite(received.delta).all():
            raise DataError(f"client {outcome.client!r}: its update does not fit the model, or is not finite")
        if reply.examples < 0 or not all(math.isfinite(value) for value in reply.metrics.values()):
            raise DataError(f"client {outcome.client!r}: its counts or metrics are no numbers")

    def _received(self, reply: FitReply) -> Received:
        if reply.update is None:
            raise DataError(f"client {reply.client!r}: its reply holds no update")
        return Received(
            client=reply.client,
            delta=unpack_plain(reply.update),
            examples=reply.examples,
            steps=reply.steps,
            staleness=self.number - reply.round,
            control=None if reply.control is None else unpack_plain(reply.control),
            metrics=reply.metrics,
        )

    def _check_quorum(self, log: ReplyLog) -> None:
        needed = self._plan.quorum(len(self._chosen))
        if len(log.entries) < needed:
            reasons = "; ".join([f"{name}: {why}" for name, why in [*sorted(self._missed.items()), *self._refused]])
            raise UnavailableError(
                f"round {self.number}: {len(log.entries)} of {len(self._chosen)} clients answered, {needed} are "
                f"needed: {reasons}",
                hint="mend what is said there and resume the run, or plan it with a lower quorum",
            )

    # Evaluation

    def _evaluate(self, model: Vector) -> dict[str, EvaluationResult]:
        """Have clients evaluate a model; those that do not answer are left out."""
        names = [name for name in self._plan.names if name not in self._shared.busy]
        asked = (names if self._plan.evaluate_on == "clients" else []) + ([SERVER] if self._plan.server else [])
        digest, packed = digest_of(model), pack_plain(model)
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        Crew(
            self.number,
            asked,
            lambda client: self._evaluate_at(client, digest, packed),
            outcomes,
            size=self._plan.in_flight,
        )
        found: dict[str, EvaluationResult] = {}
        for _ in asked:
            outcome = outcomes.get()
            if outcome.error is None:
                reply: EvaluateReply = outcome.value.reply
                self._bytes_down += outcome.value.bytes_down
                self._shared.holds[outcome.client] = digest
                found[outcome.client] = EvaluationResult(examples=reply.examples, metrics=reply.metrics)
        return dict(sorted(found.items()))

    def _evaluate_at(self, client: str, digest: str, packed: Packed) -> Answer:
        began_s = time.monotonic()

        def task() -> EvaluateTask:
            return EvaluateTask(
                job=self._plan.job,
                round=self.number,
                client=client,
                layout=self._before.layout,
                model_digest=digest,
                model=packed,
                settings=self._plan.settings,
            )

        talk: Talk[EvaluateReply] = Talk(
            function=self._shared.apps[client]["evaluate"], short=task, whole=task, ended=self._shared.ended
        )
        return Answer(talk.run(), time.monotonic() - began_s, talk.bytes_down)

    # The result

    @staticmethod
    def _results(log: ReplyLog) -> tuple[ClientResult, ...]:
        results = []
        for entry in log.entries:
            reply, facts = log.read(entry)
            results.append(
                ClientResult(
                    client=reply.client,
                    examples=reply.examples,
                    steps=reply.steps,
                    metrics=reply.metrics,
                    train_s=reply.train_s,
                    duration_s=facts["duration_s"],
                    bytes_up=0 if reply.update is None else len(reply.update.data),
                    peak_memory_bytes=reply.peak_memory_bytes,
                )
            )
        return tuple(sorted(results, key=lambda result: result.client))


def _metrics_of(evaluation: EvaluationResult | None) -> dict[str, float]:
    return {} if evaluation is None else dict(evaluation.metrics)
