"""Folders of federated runs, as their coordinators leave them."""

from skerry.learn.federated.plan import Member, Plan
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.results import ClientResult, EvaluationResult, RoundResult, mean_metrics
from skerry.learn.federated.wire.messages import Privacy

BEGAN_S = 1_800_000_000.0
REFUSED = "its update holds <b>3</b> numbers that are not finite"


def write_run(folder, *, rounds, of=None, clients=3, end="finished", private=False):
    """Write a run: client-0 misses round 2, the reply of client-1 is refused in round 3, others always answer."""
    names = [f"client-{number}" for number in range(clients)]
    members = tuple(Member(name=name) for name in names)
    plan = Plan(job="digits-1", members=members, rounds=of or max(rounds, 1), settings={"epochs": 10})
    if private:
        plan = plan.model_copy(update={"central": Privacy(clip_norm=1.5, noise_multiplier=1.0)})
    (folder / "rounds").mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json())
    results = [make_round(number, names) for number in range(1, rounds + 1)]
    if private:
        results = [result.model_copy(update={"epsilon": 2.0 * result.round**0.5}) for result in results]
    for result in results:
        (folder / "rounds" / f"{result.round:05}.json").write_text(result.model_dump_json())
    events = [Event(kind="started", at_s=BEGAN_S - 9)]
    events += [Event(kind="round-ended", at_s=result.ended_at, round=result.round) for result in results]
    last_s = events[-1].at_s
    if end is None:
        facts = {"chosen": names, "answered": [names[-1]]}
        events.append(Event(kind="round-started", at_s=last_s, round=rounds + 1, facts=facts))
        events.append(Event(kind="replied", at_s=last_s, round=rounds + 1, client=names[0]))
    else:
        events.append(Event(kind=end, at_s=last_s, round=rounds, facts={"reason": "no client is there"}))
    (folder / "events.jsonl").write_text("".join(event.model_dump_json() + "\n" for event in events))
    return folder


def make_round(number, names):
    """Return the result of a round that took 3 seconds."""
    began_s = BEGAN_S + 3 * number
    refused = (("client-1", REFUSED),) if number == 3 else ()
    missed = {"client-1": REFUSED} if refused else {"client-0": "no reply"} if number == 2 else {}
    replies = tuple(
        ClientResult(
            client=name,
            examples=100 + at,
            metrics={"loss": 1 / number},
            staleness=1 if (number, at) == (4, 2) else 0,
            train_s=1.0 + at,
            duration_s=1.5 + at,
            bytes_up=1000,
            peak_memory_bytes=50_000_000,
        )
        for at, name in enumerate(names)
        if name not in missed
    )
    evaluations = {
        name: EvaluationResult(examples=100, metrics={"accuracy": 1 - (1 + at / 10) / (number + 1), "loss": 2 / number})
        for at, name in enumerate(names)
    }
    return RoundResult(
        round=number,
        started_at=began_s,
        ended_at=began_s + 3.0,
        chosen=tuple(names),
        replies=replies,
        missed=missed,
        refused=refused,
        evaluations=evaluations,
        metrics=mean_metrics([(one.examples, one.metrics) for one in evaluations.values()]),
        phases_s={"send": 0.25, "wait": 2.5, "train": 2.0, "aggregate": 0.125, "evaluate": 0.25},
        bytes_down=6000,
        bytes_up=1000 * len(replies),
        model_digest="ab" * 32,
    )
