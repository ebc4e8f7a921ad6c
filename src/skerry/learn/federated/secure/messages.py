"""What a secure aggregation says: its terms, and a task and a reply for each of its four phases.

One run of the phases is a *ceremony*. Every message names the job, the round, the ceremony and the client, and is
refused where one of them is another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from skerry.learn.federated.wire.message import Message
from skerry.payload.codec import encode_msgpack
from skerry.payload.schema import Schema

Phase = Literal["keys", "shares", "masked", "unmask"]
PHASES: tuple[Phase, ...] = ("keys", "shares", "masked", "unmask")

Key = Annotated[bytes, Field(min_length=32, max_length=32)]
Share = Annotated[bytes, Field(min_length=33, max_length=33)]
"""A number below the prime of :mod:`skerry.learn.federated.secure.shamir`, big-endian."""
Name = Annotated[str, Field(min_length=1)]

LEAST_CLIENTS = 3
"""Of a ceremony: of two, each could take its own update off the sum and have the other's."""
RELATIVE_ERROR = 1e-6
"""Largest error of a mean by rounding, as a part of ``value_range``; terms that would round more are refused."""


class SecureMessage(Message):
    """A message with bytes in it, which travel as base64 in JSON."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Terms(SecureMessage):
    """What all clients and the coordinator hold to; `FitTask.secure` carries it.

    The terms are refused where the sum could wrap, or where rounding would be coarser than `RELATIVE_ERROR`.

    Args:
        size: Parameters of the model.
        value_range: Each number of an update is clipped to plus or minus this before it is encoded.
        max_examples: Most rows that a client may weigh; 1 weighs all clients alike.
        max_clients: Most clients of a ceremony.
        threshold: Clients that must still be there at the end of each phase; more than half of ``max_clients``, so that
            no two groups can each be asked for a different kind of share.
        bits: Of one encoded number: 64, or 32 where few bytes count more than many examples.
    """

    size: int = Field(ge=1)
    value_range: float = Field(gt=0, allow_inf_nan=False)
    max_examples: int = Field(default=1, ge=1)
    max_clients: int = Field(ge=LEAST_CLIENTS)
    threshold: int
    bits: Literal[32, 64] = 64

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.max_clients // 2 < self.threshold <= self.max_clients:
            raise ValueError(
                f"threshold is {self.threshold}; with {self.max_clients} clients it is to be from "
                f"{self.max_clients // 2 + 1} (more than half) to {self.max_clients}"
            )
        if 0.5 / self.scale > RELATIVE_ERROR * self.value_range:
            raise ValueError(
                f"{self.max_clients} clients of {self.max_examples} examples leave too few of {self.bits} bits for the "
                "numbers themselves: take 64 bits, or a smaller max_examples"
            )
        return self

    @property
    def scale(self) -> float:
        """What a number is multiplied by before it is rounded: the largest power of 2 with which no sum can wrap."""
        largest = 2 ** (self.bits - 1) - 1
        weight = self.max_clients * self.max_examples
        exponent = int(np.floor(np.log2(largest / weight / self.value_range)))
        while weight * int(np.ceil(self.value_range * 2.0**exponent)) > largest:
            exponent -= 1
        return float(2.0**exponent)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the ring's elements, in whose arithmetic everything wraps."""
        return np.dtype("<u8" if self.bits == 64 else "<u4")

    @property
    def masked_bytes(self) -> int:
        """Length of a masked update: the numbers and, behind them, the weight."""
        return (self.size + 1) * self.dtype.itemsize


class Addressed(SecureMessage):
    """What every message begins with.

    Args:
        job: The run's name.
        round: The federated round, from 1.
        ceremony: Which run of the phases; never used twice.
        client: Whom a task is for, or whom a reply is from.
    """

    job: str
    round: int = Field(ge=1)
    ceremony: Name
    client: Name


class PublicKeys(SecureMessage):
    """A client's X25519 keys: one to encrypt shares with, one to agree on masks with."""

    cipher: Key
    mask: Key


class KeysTask(Addressed):
    """Asks for fresh public keys."""

    phase: Literal["keys"] = "keys"


class KeysReply(Addressed):
    """A client's public keys for this ceremony."""

    phase: Literal["keys"] = "keys"
    keys: PublicKeys


class SharesTask(Addressed):
    """The public keys of all who take part, the client itself among them."""

    phase: Literal["shares"] = "shares"
    keys: dict[Name, PublicKeys]


class SharesReply(Addressed):
    """Shares of a client's secrets, each encrypted to the client who is to keep it.

    Args:
        sealed: By receiver; none for the sender, who keeps its own.
        self_mask_digest: SHA-256 of the self-mask's seed, by which a wrong share is noticed.
    """

    phase: Literal["shares"] = "shares"
    sealed: dict[Name, bytes]
    self_mask_digest: Key


class MaskedTask(Addressed):
    """The shares that others have encrypted to the client; their senders are with whom it masks.

    Args:
        sealed: By sender.
    """

    phase: Literal["masked"] = "masked"
    sealed: dict[Name, bytes]


class MaskedReply(Addressed):
    """A client's update and weight under all its masks: elements of the ring, little-endian."""

    phase: Literal["masked"] = "masked"
    masked: bytes


class UnmaskTask(Addressed):
    """Who has sent a masked update and who has not; together all who have sent shares, and nobody in both."""

    phase: Literal["unmask"] = "unmask"
    survivors: tuple[Name, ...]
    dropped: tuple[Name, ...]


class UnmaskReply(Addressed):
    """Shares that take the masks off the sum.

    Args:
        self_shares: Of the self-masks' seeds, by survivor.
        key_shares: Of the private mask keys, by client that dropped out.
    """

    phase: Literal["unmask"] = "unmask"
    self_shares: dict[Name, Share]
    key_shares: dict[Name, Share]


SecureTask = Annotated[KeysTask | SharesTask | MaskedTask | UnmaskTask, Field(discriminator="phase")]
SecureReply = Annotated[KeysReply | SharesReply | MaskedReply | UnmaskReply, Field(discriminator="phase")]

_TASK = Schema(SecureTask, label="task", where="secure aggregation")
_REPLY = Schema(SecureReply, label="reply", where="secure aggregation")
_TERMS = Schema(Terms, label="terms", where="secure aggregation")


def write(message: SecureMessage) -> bytes:
    """Return a message as MessagePack."""
    return encode_msgpack(message.model_dump())


def read_terms(fields: Mapping[str, Any]) -> Terms:
    """Return the terms that `FitTask.secure` holds, as ``model_dump`` gave them.

    Raises:
        InvalidPayloadError: they are no terms, or no sum could be made under them.
    """
    terms: Terms = _TERMS.convert(dict(fields))
    return terms


def read_task(body: bytes) -> SecureTask:
    """Return the task of a MessagePack body.

    Raises:
        MalformedBodyError: it is no MessagePack.
        InvalidPayloadError: it is no task of a secure aggregation.
    """
    task: SecureTask = _TASK.read_msgpack(body)
    return task


def read_reply(body: bytes) -> SecureReply:
    """Return the reply of a MessagePack body; raises as :func:`read_task`."""
    reply: SecureReply = _REPLY.read_msgpack(body)
    return reply


def fingerprint(message: SecureMessage) -> str:
    """Return the SHA-256 of a message, in hexadecimal: two with the same one are the same message."""
    return hashlib.sha256(write(message)).hexdigest()
