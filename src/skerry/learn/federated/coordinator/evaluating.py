"""The evaluation of a global model on the clients' own data, and at a server's place."""

from __future__ import annotations

import math
import queue
import threading
import time
from dataclasses import dataclass

from skerry.learn.federated.coordinator.conversation import Directly, Talk, spoken_to
from skerry.learn.federated.coordinator.crew import Crew, Outcome
from skerry.learn.federated.coordinator.shared import Answer, Shared
from skerry.learn.federated.coordinator.tasks import Tasks
from skerry.learn.federated.plan import SERVER
from skerry.learn.federated.policies.deadlines import quorum
from skerry.learn.federated.record.results import EvaluationResult
from skerry.learn.federated.wire.messages import EvaluateReply
from skerry.learn.federated.wire.metric_names import wrong_name

LOOK_S = 0.5  # between looks at whether a person has asked for something
LEAST_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What an evaluation found.

    Args:
        results: By client; those that gave none are left out.
        failed: Who gave none, and why.
        bytes_down: Of models, as they were sent.
    """

    results: dict[str, EvaluationResult]
    failed: dict[str, str]
    bytes_down: int


def evaluate_model(shared: Shared, tasks: Tasks) -> Evaluated:
    """Have everybody who is free evaluate a model.

    Once the plan's quorum has answered, the others have as long again as that took, and are then left out.
    """
    plan = shared.record.plan
    free = [name for name in plan.names if not shared.histories[name].busy]
    asked = (free if plan.evaluate_on == "clients" else []) + ([SERVER] if plan.server else [])
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    ended = threading.Event()
    room = shared.room

    def call(client: str) -> Answer:
        began_s = time.monotonic()
        evaluate = shared.apps[client]["evaluate"]
        talk: Talk[EvaluateReply] = Talk(
            # Told in one exchange, its model would be held until the client has used it: not where room is scarce.
            function=spoken_to(evaluate, room) if room.is_scarce else Directly(evaluate.remote),
            short=lambda: tasks.evaluate(client, holds=shared.holds.get(client)),
            whole=lambda: tasks.evaluate(client, holds=None),
            ended=ended,
            room=room,
            contact=shared.contacts.of(client, tasks.round),
        )
        return Answer(
            reply=talk.run(), duration_s=time.monotonic() - began_s, send_s=talk.send_s, bytes_down=talk.bytes_down
        )

    crew = Crew(tasks.round, asked, call, outcomes, threads=shared.threads, size=plan.in_flight)
    results: dict[str, EvaluationResult] = {}
    failed: dict[str, str] = {}
    bytes_down = 0
    try:
        for outcome in _take(shared, outcomes, len(asked)):
            client = outcome.client
            if outcome.error is not None:
                failed[client] = outcome.error.message
                continue
            answer: Answer = outcome.value
            bytes_down += answer.bytes_down
            reply: EvaluateReply = answer.reply
            shared.holds[client] = tasks.outgoing.digest
            if wrong := _wrong_metrics(reply):
                failed[client] = wrong
                continue
            results[client] = EvaluationResult(examples=reply.examples, metrics=reply.metrics)
    finally:
        crew.close()
        ended.set()
    for client in set(asked) - set(results) - set(failed):
        failed[client] = "no evaluation in time"
    return Evaluated(results=dict(sorted(results.items())), failed=failed, bytes_down=bytes_down)


def _wrong_metrics(reply: EvaluateReply) -> str:
    """Return what of an evaluation can be neither averaged nor shown; an empty text where nothing is wrong."""
    if reply.examples < 0:
        return f"it counts {reply.examples} examples"
    if wrong := wrong_name(reply.metrics):
        return wrong
    return ", ".join(f"{name} is {value}" for name, value in reply.metrics.items() if not math.isfinite(value))


def _take(shared: Shared, outcomes: queue.SimpleQueue[Outcome], count: int) -> list[Outcome]:
    """Return the outcomes, or those that came until the time was over or a person asked for the end."""
    patience = shared.record.plan.patience
    began_s = time.monotonic()
    until_s = began_s + patience.deadline_s
    found: list[Outcome] = []
    answered = 0
    while len(found) < count and (left_s := until_s - time.monotonic()) > 0:
        try:
            found.append(outcomes.get(timeout=min(left_s, LOOK_S)))
        except queue.Empty:
            if shared.record.request() == "cancel":
                break
            continue
        answered += found[-1].error is None
        if answered == quorum(count, patience):
            now_s = time.monotonic()
            until_s = min(until_s, now_s + max(now_s - began_s, LEAST_WAIT_S))
    return found
