"""The plan of a run: everything that decides its answer."""

from __future__ import annotations

import hashlib
import re
import reprlib
import secrets
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from skerry.errors import SpecError
from skerry.learn.federated.policies.deadlines import Patience
from skerry.learn.federated.wire.message import Message
from skerry.learn.federated.wire.messages import Coding, Privacy, Secure

SERVER = "server"
"""The client's name under which the coordinator's own place evaluates the global model."""
WEEK_S = 7 * 24 * 3600.0
_MOST_LETTERS = 80  # of what the name of a job begins with


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
        selection: Who takes part: the name of a selection.
        selection_options: As the selection takes them.
        coding: How clients write their replies.
        down_coding: How models are written for clients; but for float32, as the difference to what they hold.
        clients_per_round: How many take part in a round; none for all.
        quorum_ratio: The share of them that must have answered before a round ends without the others; 1 waits for all.
        deadline_s: Longest that a round's training lasts, in seconds; none waits for a week.
        slack_ratio: How much longer than its median client a round waits for slower ones, once there is a quorum.
        late_rounds: Rounds after which a reply that did not come is given up.
        evaluate_every: The global model is evaluated after every so many rounds, and after the last; 0 for never.
        evaluate_on: ``clients`` or ``none``: whether clients evaluate it on their own data.
        server: A place that evaluates it on data of its own, as the client ``server``; none for no such place.
        best_metric: The metric by which the best model is kept: the highest, or the lowest if its name ends in ``loss``
            or ``error``.
        keep_late: Whether replies that come after their round's end count in the next one.
        remember_rounds: For how many rounds a client that is not heard counts with its last update; 0 for none. None
            is ``late_rounds`` where every client is asked and a round may end without some, if the rest of the plan
            allows it: see :func:`skerry.learn.federated.coordinator.agreement.remembered_rounds`.
        most_examples: A reply that counts more rows is refused.
        largest_norm: A reply whose update is longer is refused; none for any.
        privacy: What clients do to their updates before these leave (local differential privacy).
        central: What the coordinator does to their mean (central differential privacy).
        secure: How updates are summed so that nobody sees a single one; none sends them as they are.
        privacy_delta: Chance that the epsilon which is reported does not hold.
        in_flight: Most clients that are talked to at a time.
    """

    job: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    members: tuple[Member, ...] = Field(min_length=1)
    rounds: int = Field(ge=1)
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)  # as MessagePack writes whole numbers
    strategy: str = "fedavg"
    strategy_options: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    selection: str = "all"
    selection_options: dict[str, Any] = Field(default_factory=dict)
    coding: Coding = "float32"
    down_coding: Coding = "float32"
    clients_per_round: int | None = Field(default=None, ge=1)
    quorum_ratio: float = Field(default=1.0, gt=0, le=1)
    deadline_s: float | None = Field(default=None, gt=0)
    slack_ratio: float = Field(default=1.2, ge=1)
    late_rounds: int = Field(default=20, ge=0)
    evaluate_every: int = Field(default=1, ge=0)
    evaluate_on: Literal["clients", "none"] = "clients"
    server: str | None = None
    best_metric: str = "accuracy"
    keep_late: bool = True
    remember_rounds: int | None = Field(default=None, ge=0)
    most_examples: int = Field(default=10**9, ge=1)
    largest_norm: float | None = Field(default=None, gt=0)
    privacy: Privacy | None = None
    central: Privacy | None = None
    secure: Secure | None = None
    privacy_delta: float = Field(default=1e-5, gt=0, lt=1)
    in_flight: int = Field(default=16, ge=1)

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

    @property
    def patience(self) -> Patience:
        """How long a round waits."""
        return Patience(
            quorum_ratio=self.quorum_ratio,
            deadline_s=WEEK_S if self.deadline_s is None else self.deadline_s,
            slack_ratio=self.slack_ratio,
            late_rounds=self.late_rounds,
        )

    @property
    def client_privacy(self) -> Privacy | None:
        """What clients do to their updates: where the sum is secret, nobody else can clip them for its noise."""
        if self.secure is not None and self.central is not None:
            return Privacy(clip_norm=self.central.clip_norm)
        return self.privacy

    def secure_terms(self, size: int) -> dict[str, Any] | None:
        """Return the terms of the secure aggregation of a model of this size, as tasks carry them; none without it."""
        if self.secure is None:
            return None
        most = self.clients_per_round or len(self.members)
        return {
            "size": size,
            "value_range": self.secure.value_range,
            "max_examples": 1 if self.central is not None else self.secure.max_examples,
            "max_clients": most,
            "threshold": self.secure.threshold or most // 2 + 1,
            "bits": self.secure.bits,
        }

    def is_better(self, value: float, than: float | None) -> bool:
        """Return whether a value of ``best_metric`` is better than another, or the first."""
        if than is None:
            return True
        return value < than if self.best_metric.endswith(("loss", "error")) else value > than

    def evaluates(self, round: int) -> bool:
        """Return whether the model is evaluated after a round."""
        if self.evaluate_every == 0 or (self.evaluate_on == "none" and self.server is None):
            return False
        return round % self.evaluate_every == 0 or round == self.rounds


def make_plan(**fields: Any) -> Plan:
    """Return the plan of these fields.

    Raises:
        SpecError: one of them is out of range, or names are not; the message says which.
    """
    try:
        return Plan.model_validate(fields)
    except ValidationError as error:
        raise SpecError(f"plan: {first_fault(error)}") from error


def first_fault(error: ValidationError) -> str:
    """Return the first thing that is wrong with a plan, in a line."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    where = f"{field} = {reprlib.repr(first['input'])}: " if field else ""
    return f"{where}{first['msg'].removeprefix('Value error, ')}"


def seed_of(seed: int, round: int, client: str) -> int:
    """Return the seed of a client's work in a round: 31 bits that follow from the run's seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{round}/{client}".encode()).digest()[:4], "big") >> 1


def job_name(name: str) -> str:
    """Return a name for a new run that no other run has.

    Args:
        name: What it begins with, as far as a job may be called so: letters and digits of ASCII, and ``._-`` between.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:_MOST_LETTERS]
    return f"{plain or 'run'}-{secrets.token_hex(4)}"
