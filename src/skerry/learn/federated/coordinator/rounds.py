"""One round: tasks out, replies in, the next model, its evaluation, all of it kept."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import numpy as np

from skerry.errors import DataError
from skerry.learn.federated.coordinator.agreement import remembered_rounds
from skerry.learn.federated.coordinator.collecting import Collection
from skerry.learn.federated.coordinator.downlink import send_next
from skerry.learn.federated.coordinator.evaluating import Evaluated, evaluate_model
from skerry.learn.federated.coordinator.shared import Shared
from skerry.learn.federated.coordinator.tasks import Tasks
from skerry.learn.federated.plan import SERVER
from skerry.learn.federated.policies.history import to_json
from skerry.learn.federated.privacy.budget import epsilon, local_epsilon
from skerry.learn.federated.privacy.central import PrivateMean
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.record import Checkpoint
from skerry.learn.federated.record.reply_log import RecordedReplies, ReplyLog, client_results, remembered_results
from skerry.learn.federated.record.results import RoundResult, mean_metrics
from skerry.learn.federated.strategies.base import ListedReplies, Received, State, Strategy
from skerry.learn.federated.wire.parameters import Vector, digest_of

if TYPE_CHECKING:
    from skerry.learn.federated.coordinator.summing import Summing
    from skerry.learn.federated.secure.ring import Total

NOT_EVALUATED = Evaluated(results={}, failed={}, bytes_down=0)


class Round:
    """A round that runs, or goes on where an earlier coordinator has ended.

    Args:
        shared: What all rounds have in common.
        before: The checkpoint of the round before.
    """

    def __init__(self, shared: Shared, before: Checkpoint) -> None:
        self.after: Checkpoint | None = None
        self.number = before.round + 1
        self._shared = shared
        self._before = before

    def events(self) -> Iterator[Event]:
        """Run the round; `after` is none afterwards if it was cancelled.

        Raises:
            UnavailableError: too few clients have answered.
            DataError: no model can be made of the replies.
        """
        log = self._shared.record.log(self.number)
        try:
            yield from self._run(log)
        finally:
            log.close()

    def _run(self, log: ReplyLog) -> Iterator[Event]:
        shared, record, number, before = self._shared, self._shared.record, self.number, self._before
        began_at, began_s = time.time(), time.monotonic()
        tasks = Tasks(plan=record.plan, round=number, layout=before.layout, outgoing=shared.outgoing)
        remembers = remembered_rounds(record.plan) > 0
        collection = Collection(shared, tasks, before, log)
        yield from collection.events()
        if record.request() == "cancel":
            return
        collected_s = time.monotonic()

        total: Total | None = None
        masked_bytes = 0
        if record.plan.secure is not None:
            log.sync()
            summing = yield from self._sum(log)
            total, masked_bytes = summing.total, summing.bytes_up
            if total is None:
                return
            model, state = aggregate_total(shared.strategy, before, total)
        else:
            replies = RecordedReplies(log, round=number, dtype=before.layout.dtype_name, newest=remembers)
            model, state = shared.strategy.aggregate(before.model, before.state, replies)
        log.sync()  # nobody hears of the model before that
        if not np.isfinite(model).all():
            raise DataError(f"round {number}: the new model holds numbers that are not finite; the round is not kept")
        shared.outgoing = send_next(model, shared.outgoing, record.plan.down_coding)
        aggregated_s = time.monotonic()
        yield record.tell("aggregated", number, replies=len(log.entries))

        found = NOT_EVALUATED
        if record.plan.evaluates(number):
            found = evaluate_model(
                shared, Tasks(plan=record.plan, round=number, layout=before.layout, outgoing=shared.outgoing)
            )
            if record.request() == "cancel":
                return
        mean = mean_metrics([(e.examples, e.metrics) for name, e in found.results.items() if name != SERVER])
        evaluated_s = time.monotonic()
        clients = {name: each.metrics for name, each in found.results.items()}
        yield record.tell("evaluated", number, metrics=mean, clients=clients, failed=found.failed)

        results = client_results(log, round=number)
        result = RoundResult(
            round=number,
            started_at=began_at,
            ended_at=time.time(),
            chosen=collection.chosen,
            replies=results,
            summed=() if total is None else total.clients,
            remembered=remembered_results(log, round=number) if remembers else {},
            missed=collection.missed,
            refused=tuple(collection.refused),
            evaluations=found.results,
            unevaluated=dict(sorted(found.failed.items())),
            metrics=mean,
            phases_s={
                "send": collection.send_s,
                "wait": collected_s - began_s,
                "train": max((reply.train_s for reply in results), default=0.0),
                "aggregate": aggregated_s - collected_s,
                "evaluate": evaluated_s - aggregated_s,
            },
            bytes_down=collection.bytes_down + found.bytes_down,
            bytes_up=sum(reply.bytes_up for reply in results) + masked_bytes,
            epsilon=self._epsilon(),
            model_digest=digest_of(model),
        )
        best = result.score(record.plan.best_metric)
        is_best = best is not None and record.plan.is_better(best, before.best)
        self.after = Checkpoint(
            round=number,
            layout=before.layout,
            model=model,
            view=model if record.plan.down_coding == "float32" else shared.outgoing.view,
            state=state,
            histories=to_json(shared.histories),
            best=best if is_best else before.best,
            given=tasks.outgoing.view if remembers else None,
        )
        record.commit(self.after, result, best=is_best)
        yield record.tell(
            "round-ended",
            number,
            replies=len(results),
            metrics=result.metrics,
            phases_s=result.phases_s,
            bytes_down=result.bytes_down,
            bytes_up=result.bytes_up,
            epsilon=result.epsilon,
            model_digest=result.model_digest,
        )

    def _sum(self, log: ReplyLog) -> Generator[Event, None, Summing]:
        """Hold the round's secure aggregation."""
        from skerry.learn.federated.coordinator.summing import Summing
        from skerry.learn.federated.secure.messages import read_terms

        record = self._shared.record
        terms = read_terms(record.plan.secure_terms(self._before.layout.size) or {})
        ceremonies = record.ceremony_log(self.number)
        try:
            trained = sorted(entry.client for entry in log.entries)
            summing = Summing(self._shared, self.number, terms, trained, ceremonies)
            yield from summing.events()
        finally:
            ceremonies.close()
        return summing

    def _epsilon(self) -> float | None:
        plan = self._shared.record.plan
        if plan.central is not None and plan.central.noise_multiplier > 0:
            return epsilon(rounds=self.number, noise_multiplier=plan.central.noise_multiplier, delta=plan.privacy_delta)
        if plan.privacy is not None and plan.privacy.noise_multiplier > 0:
            # Of all that was asked: a reply that was lost on its way, or refused, was seen all the same.
            most = max(history.rounds for history in self._shared.histories.values())
            return local_epsilon(rounds=most, noise_multiplier=plan.privacy.noise_multiplier, delta=plan.privacy_delta)
        return None


def aggregate_total(strategy: Strategy, before: Checkpoint, total: Total) -> tuple[Vector, State]:
    """Return what a strategy makes of a secure sum, which it sees as one reply of all the examples."""
    if isinstance(strategy, PrivateMean):
        return strategy.aggregate_sum(before.model, before.state, total.weighted_sum)
    one = Received(client="secure sum", delta=total.mean, examples=total.examples, steps=1)
    return strategy.aggregate(before.model, before.state, ListedReplies([one]))
