"""Checks of replies: what a client sent becomes a part of the next model, or is refused by name."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from reprlib import repr as show
from typing import Literal, NoReturn

import numpy as np
from pydantic import ValidationError

from skerry.errors import DataError, ReplyRefusedError, UnauthorizedError
from skerry.learn.federated.strategies.base import Received
from skerry.learn.federated.wire.coding import unpack
from skerry.learn.federated.wire.messages import Coding, FitReply, Packed
from skerry.learn.federated.wire.metric_names import wrong_name
from skerry.learn.federated.wire.norms import norm_of
from skerry.learn.federated.wire.parameters import Layout, Vector
from skerry.learn.federated.wire.tokens import Claims, UsedTokens, check_token

Reason = Literal[
    "malformed",
    "wrong_job",
    "unknown_client",
    "wrong_client",
    "wrong_round",
    "stale",
    "wrong_model",
    "token_forged",
    "token_expired",
    "token_wrong_job",
    "token_wrong_round",
    "token_wrong_client",
    "token_wrong_model",
    "duplicate",
    "replayed",
    "base_missing",
    "contradictory",
    "negative_count",
    "too_many_examples",
    "too_many_steps",
    "not_finite",
    "wrong_metric",
    "wrong_coding",
    "wrong_size",
    "damaged",
    "norm_too_large",
]
"""Why a reply is refused: `ReplyRefusedError.reason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is known of a reply before it is looked at.

    Args:
        job: The run.
        round: The round of the task that is answered; of a late reply the round that it was given out in.
        client: Who was asked.
        model_digest: Of the model that the client was given.
        layout: Which arrays the model has.
        clients: Everybody who takes part in the run.
        secret: The run's, which tokens are made with.
        used: The tokens of replies that count already.
        now_s: Seconds since 1970.
        most_examples: More rows than this nobody has.
        most_steps: More optimiser steps than this nobody takes.
        coding: How the update was to be written; none when that is left to the client.
        control: Whether a control variate was asked for (SCAFFOLD).
        whole_model: Whether the task held the whole model, so that nothing can be missing.
        replied: Whether a reply of this job, round and client counts already.
        staleness: Rounds that have ended since the task was given.
        most_staleness: Replies that are older are not used.
        largest_norm: Longest update that is believed; none for any.
        secure: Whether the update stays at its site for a secure aggregation: the reply has to say nothing of it.
    """

    job: str
    round: int
    client: str
    model_digest: str
    layout: Layout
    clients: frozenset[str]
    secret: bytes = field(repr=False)
    used: UsedTokens = field(repr=False)
    now_s: float
    most_examples: int
    most_steps: int = 2**31 - 1
    coding: Coding | None = None
    control: bool = False
    whole_model: bool = False
    replied: bool = False
    staleness: int = 0
    most_staleness: int = 0
    largest_norm: float | None = None
    secure: bool = False


def read_reply(value: object) -> FitReply:
    """Return what a client sent as a reply.

    Raises:
        ReplyRefusedError: it is none (``malformed``); the message says which fields are wrong and repeats no value.
    """
    try:
        return FitReply.model_validate(value)
    except ValidationError as error:
        wrong = sorted({".".join(map(show, each["loc"])) or "it" for each in error.errors(include_input=False)})
        # The original holds what the client sent, its token too, and is not kept as the cause.
        message = f"not a reply to a fit task; wrong or missing: {', '.join(wrong[:8])}"
    _refuse("malformed", message)


def check_reply(reply: FitReply, expected: Expected) -> Received:
    """Return a reply as strategies take it, when nothing is wrong with it; an empty delta where the update is secure.

    Pure: whoever calls writes the reply down, and then takes the token's use (`UsedTokens.use`). Who it is from is
    looked at first, its vectors last, so that a stranger's bytes are never decoded.

    Raises:
        ReplyRefusedError: it is not what was asked for; ``reason`` is a `Reason`. ``base_missing`` is an honest answer:
            the client needs the whole model.
    """
    _check_task(reply, expected)
    _check_token(reply, expected)
    update = _check_status(reply, expected)
    _check_counts(reply, expected)
    if update is None:
        return Received(client=reply.client, delta=np.empty(0, expected.layout.dtype), examples=0)
    if expected.coding is not None and update.coding != expected.coding:
        _refuse("wrong_coding", f"the update is written as {update.coding}; the task asked for {expected.coding}")
    delta = _read(update, expected.layout, "update")
    if expected.largest_norm is not None and not (length := norm_of(delta)) <= expected.largest_norm:
        _refuse("norm_too_large", f"the update has norm {length:.6g}; the most is {expected.largest_norm:.6g}")
    return Received(
        client=reply.client,
        delta=delta,
        examples=reply.examples,
        steps=reply.steps,
        staleness=expected.staleness,
        control=None if reply.control is None else _read(reply.control, expected.layout, "control variate"),
        metrics=reply.metrics,
    )


def _check_task(reply: FitReply, expected: Expected) -> None:
    if reply.job != expected.job:
        _refuse("wrong_job", f"the reply is for job {show(reply.job)}, not {expected.job!r}")
    if reply.client not in expected.clients:
        _refuse("unknown_client", f"no client of this run is called {show(reply.client)}")
    if reply.client != expected.client:
        _refuse("wrong_client", f"{reply.client!r} answers a task of {expected.client!r}")
    if reply.round < expected.round:
        _refuse("stale", f"the reply is of round {show(reply.round)}, and round {expected.round} was asked for")
    if reply.round > expected.round:
        _refuse("wrong_round", f"the reply is of round {show(reply.round)}; round {expected.round} was asked for")
    if expected.staleness > expected.most_staleness:
        _refuse("stale", f"the reply is {expected.staleness} rounds late; the most is {expected.most_staleness}")
    if reply.model_digest != expected.model_digest:
        _refuse("wrong_model", f"the reply is to model {show(reply.model_digest)}, not {expected.model_digest[:12]}…")


def _check_token(reply: FitReply, expected: Expected) -> None:
    claims = Claims(job=expected.job, round=expected.round, client=expected.client, model_digest=expected.model_digest)
    try:
        check_token(expected.secret, reply.token, claims, expected.now_s)
    except UnauthorizedError as error:
        raise ReplyRefusedError(error.message, reason=f"token_{error.details['fault']}") from None
    if expected.replied:
        _refuse("duplicate", f"a reply of {expected.client!r} in round {expected.round} counts already")
    if reply.token in expected.used:
        _refuse("replayed", "the token was used before; each is good for one reply")


def _check_status(reply: FitReply, expected: Expected) -> Packed | None:
    if reply.status == "base-missing":
        if expected.whole_model:
            _refuse("contradictory", "the client says that it misses the base, and was given the whole model")
        if reply.update or reply.control or reply.examples or reply.steps:
            _refuse("contradictory", "the client says that it could not train, and sends what it has trained")
        _refuse("base_missing", f"{expected.client!r} does not hold the model that the difference is to: send it whole")
    if expected.secure:
        if reply.update or reply.control or reply.examples or reply.steps or reply.metrics:
            _refuse("contradictory", "the update was to be summed in secret, and the reply says something of it")
        return None
    if reply.update is None:
        _refuse("contradictory", "the client says that it has trained, and sends no update")
    if (reply.control is not None) != expected.control:
        _refuse("contradictory", f"a control variate was {'' if expected.control else 'not '}asked for")
    return reply.update


def _check_counts(reply: FitReply, expected: Expected) -> None:
    measures = {"examples": reply.examples, "steps": reply.steps, "train_s": reply.train_s}
    measures["peak_memory_bytes"] = reply.peak_memory_bytes
    for name, count in measures.items():
        if count < 0:
            _refuse("negative_count", f"{name} is {show(count)}")
    if reply.examples > expected.most_examples:
        _refuse("too_many_examples", f"{show(reply.examples)} examples; the most is {expected.most_examples}")
    if reply.steps > expected.most_steps:
        _refuse("too_many_steps", f"{show(reply.steps)} steps; the most is {expected.most_steps}")
    for name, number in {"train_s": reply.train_s, **reply.metrics}.items():
        if not math.isfinite(number):
            _refuse("not_finite", f"{show(name)} is {number}")
    if wrong := wrong_name(reply.metrics):
        _refuse("wrong_metric", wrong)


def _read(packed: Packed, layout: Layout, what: str) -> Vector:
    if packed.size != layout.size:
        _refuse("wrong_size", f"the {what} has {show(packed.size)} numbers; the model has {layout.size}")
    try:
        return unpack(packed, layout.dtype_name)
    except DataError as error:
        raise ReplyRefusedError(f"the {what}: {error.message}", reason=error.details["fault"]) from None


def _refuse(reason: Reason, message: str) -> NoReturn:
    raise ReplyRefusedError(message, reason=reason)
