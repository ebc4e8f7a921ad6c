"""The task of a client in a round, and its reply."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skerry.learn.federated.wire.message import Message
from skerry.learn.federated.wire.parameters import Layout

Coding = Literal["float32", "float64", "float16", "int8", "top-k"]
"""How numbers are written: see :mod:`skerry.learn.federated.wire.coding`."""


class Packed(Message):
    """A vector as it travels.

    Args:
        coding: How its numbers are written.
        size: Elements of the vector.
        data: The coded bytes, little-endian.
        digest: SHA-256 of ``data``, in hexadecimal.
    """

    coding: Coding
    size: int = Field(ge=0)
    data: bytes
    digest: str


class Privacy(Message):
    """How updates are made private: each by its client before it leaves the site, or their sum by the coordinator.

    Args:
        clip_norm: Largest L2 norm of an update; longer ones are scaled down to it.
        noise_multiplier: Standard deviation of the Gaussian noise that is added, in units of ``clip_norm``; 0 only
            clips.
    """

    clip_norm: float = Field(gt=0, allow_inf_nan=False)
    noise_multiplier: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class Secure(Message):
    """How a run sums its updates so that nobody sees a single one; see :class:`skerry.learn.federated.secure`.

    Args:
        value_range: Each number of an update is clipped to plus or minus this.
        max_examples: Most rows that one client may count.
        threshold: Clients that must be there to the end; none for more than half of those of a round.
        bits: Of one number, 64 or 32.
    """

    value_range: float = Field(default=16.0, gt=0, allow_inf_nan=False)
    max_examples: int = Field(default=10**6, ge=1)
    threshold: int | None = Field(default=None, ge=2)
    bits: Literal[32, 64] = 64


class Enclosed(Message):
    """A message of a secure aggregation as bytes: who takes no part never loads what reads them.

    Args:
        message: As :func:`skerry.learn.federated.secure.messages.write` gives it.
    """

    message: bytes = Field(repr=False)


class FitTask(Message):
    """What a client is asked to do in a round.

    Args:
        job: The run's name; unique for as long as clients keep anything of it.
        round: From 1.
        client: Whom it is for.
        token: One-use, bound to job, round, client, model and an expiry; the reply gives it back.
        layout: Which arrays the model has.
        model_digest: Of the model that the client trains from, in the layout's dtype.
        base_digest: Of the model that ``model`` is a difference to; none when ``model`` is whole.
        model: The model or the difference; none when the client holds the model already.
        coding: How the reply is to be written.
        seed: Of everything random in this client's work in this round.
        settings: The user's own, such as ``{"epochs": 10}``.
        proximal: FedProx's mu: how strongly local training is pulled back to the model it began from; 0 for not.
        control: SCAFFOLD's control variate of the server.
        privacy: What is done to the update before it leaves.
        secure: What secure aggregation needs, as :mod:`skerry.learn.federated.secure` reads it.
    """

    job: str
    round: int = Field(ge=1)
    client: str
    token: str = Field(repr=False)
    layout: Layout
    model_digest: str
    base_digest: str | None = None
    model: Packed | None = None
    coding: Coding = "float32"
    seed: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)
    proximal: float = Field(default=0.0, ge=0)
    control: Packed | None = None
    privacy: Privacy | None = None
    secure: dict[str, Any] | None = None


class FitReply(Message):
    """What a client answers.

    Args:
        job: The task's.
        round: The task's.
        client: The task's.
        token: The task's.
        model_digest: Of the model that was trained from.
        status: ``base-missing`` asks for the whole model: the client does not hold what the difference is to.
        update: The trained parameters minus those that training began from.
        examples: Rows that were trained on.
        steps: Optimiser steps that were taken, for FedNova and SCAFFOLD.
        metrics: The user's own, finite; their names are text of at most 200 letters without ``<`` and ``>``.
        train_s: Seconds in the user's ``fit``.
        peak_memory_bytes: Highest resident memory of the worker so far.
        control: Change of the client's control variate, for SCAFFOLD.
    """

    job: str
    round: int
    client: str
    token: str = Field(repr=False)
    model_digest: str
    status: Literal["done", "base-missing"] = "done"
    update: Packed | None = None
    examples: int = 0
    steps: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    train_s: float = 0.0
    peak_memory_bytes: int = 0
    control: Packed | None = None


class EvaluateTask(Message):
    """A model to be evaluated on a client's own data; fields as in `FitTask`."""

    job: str
    round: int = Field(ge=0)
    client: str
    layout: Layout
    model_digest: str
    base_digest: str | None = None
    model: Packed | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class EvaluateReply(Message):
    """What an evaluation found.

    Args:
        client: The task's.
        status: As in `FitReply`.
        examples: Rows that were looked at.
        metrics: Such as ``accuracy`` and ``loss``; as in `FitReply`.
    """

    client: str
    status: Literal["done", "base-missing"] = "done"
    examples: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)


class StartTask(Message):
    """A client is asked for the model that a run begins with; any client answers the same.

    Args:
        settings: The user's own.
        seed: Of the run.
    """

    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0


class StartReply(Message):
    """The model that a run begins with.

    Args:
        layout: Which arrays it has.
        model: The model, whole.
    """

    layout: Layout
    model: Packed
