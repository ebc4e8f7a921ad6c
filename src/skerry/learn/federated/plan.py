"""The plan of a run: everything that decides its answer."""

from __future__ import annotations

import hashlib
import math
import secrets
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from skerry.learn.federated.message import Message
from skerry.learn.federated.messages import Coding, Privacy

SERVER = "server"
"""The client's name under which the coordinator's own place evaluates the global model."""


class Member(Message):
    """A client of a run.

    Args:
        name: Unique in the run.
        site: The site whose functions it is, as ``skerry.toml`` names it; none for the engine on this machine.
    """

    name: str = Field(min_length=1, max_length=64)
    site: str | None = None


class Plan(Message):
    """What a run does.

    Args:
        job: Its name; clients keep what they hold under it, so no two runs may have the same.
        members: The clients.
        rounds: How many.
        seed: Of everything random; other seeds follow from it, the round and the client.
        strategy: Its name.
        strategy_options: As the strategy takes them.
        settings: The user's own, handed to clients.
        coding: How clients write their replies.
        down_coding: How models are written for clients; but for float32, as the difference to what they hold.
        clients_per_round: How many take part in a round; none for all.
        quorum_ratio: The part of them whose replies are enough once the deadline has passed.
        deadline_s: Of a round's training, in seconds; none waits for all.
        evaluate_every: The global model is evaluated after every so many rounds, and after the last; 0 for never.
        evaluate_on: ``clients`` or ``none``: whether clients evaluate it on their own data.
        server: A place that evaluates it on data of its own, as the client ``server``; none for no such place.
        best_metric: The metric by which the best model is kept.
        keep_late: Whether replies that come after their round's end count in the next one.
        in_flight: Most clients that are talked to at a time.
        privacy: What clients do to their updates.
    """

    job: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    members: tuple[Member, ...] = Field(min_length=1)
    rounds: int = Field(ge=1)
    seed: int = 0
    strategy: str = "fedavg"
    strategy_options: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    coding: Coding = "float32"
    down_coding: Coding = "float32"
    clients_per_round: int | None = Field(default=None, ge=1)
    quorum_ratio: float = Field(default=1.0, gt=0, le=1)
    deadline_s: float | None = Field(default=None, gt=0)
    evaluate_every: int = Field(default=1, ge=0)
    evaluate_on: Literal["clients", "none"] = "clients"
    server: str | None = None
    best_metric: str = "accuracy"
    keep_late: bool = True
    in_flight: int = Field(default=32, ge=1)
    privacy: Privacy | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [member.name for member in self.members]
        if len(set(names)) < len(names) or SERVER in names:
            raise ValueError(f"clients {names}: each needs a name of its own, and none may be {SERVER!r}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The clients' names, in order."""
        return tuple(sorted(member.name for member in self.members))

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def quorum(self, chosen: int) -> int:
        """Return how many replies are enough, of so many clients that were chosen."""
        return max(1, math.ceil(self.quorum_ratio * chosen - 1e-9))

    def evaluates(self, round: int) -> bool:
        """Return whether the model is evaluated after a round."""
        if self.evaluate_every == 0 or (self.evaluate_on == "none" and self.server is None):
            return False
        return round % self.evaluate_every == 0 or round == self.rounds


def seed_of(seed: int, round: int, client: str) -> int:
    """Return the seed of a client's work in a round: 31 bits that follow from the run's seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{round}/{client}".encode()).digest()[:4], "big") >> 1


def job_name(name: str) -> str:
    """Return a name for a new run that no other run has."""
    return f"{name}-{secrets.token_hex(4)}"
