"""What happens in a run, as its views are told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skerry.learn.federated.wire.message import Message

Kind = Literal[
    "started",
    "resumed",
    "round-started",
    "replied",
    "refused",
    "missed",
    "late",
    "unreachable",
    "back",
    "phase-ended",
    "aggregated",
    "evaluated",
    "round-ended",
    "paused",
    "cancelled",
    "failed",
    "finished",
]


class Event(Message):
    """Something that happened.

    Args:
        kind: What.
        at_s: Unix time, seconds.
        round: In which round; 0 outside of rounds.
        client: Whom it is about, if anybody.
        facts: What more is known of it.
    """

    kind: Kind
    at_s: float
    round: int = 0
    client: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
