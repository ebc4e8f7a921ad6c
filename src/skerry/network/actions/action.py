"""An action: what is to be done to packets, for how long at most, and why."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skerry.errors import SpecError
from skerry.network.actions.match import Match, match_from_plain, match_to_plain

_ID = re.compile(r"[a-z][a-z0-9]{0,30}")
LARGEST_RATE = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many packets pass; what is above is dropped.

    Attributes:
        packets_per_s: Packets that pass in each second, from 1.
        burst_packets: Packets that may come at once on top of that, from 1.
        per_source: Whether each source address has an allowance of its own.
    """

    packets_per_s: int
    burst_packets: int = 5
    per_source: bool = False

    def __post_init__(self) -> None:
        """Refuse a limit that lets nothing through: to drop everything is an action without a limit.

        Raises:
            SpecError: a number is out of range.
        """
        if not (1 <= self.packets_per_s <= LARGEST_RATE and 1 <= self.burst_packets <= LARGEST_RATE):
            raise SpecError(f"a limit's packets_per_s and burst_packets are from 1 to {LARGEST_RATE}, not {self}")


def new_id() -> str:
    """Return a name for an action that no other has."""
    return f"a{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Drop the packets of a match, or what is above a limit.

    Attributes:
        match: Which packets.
        limit: How many of them pass; None drops them all.
        ttl_s: Seconds after which it is withdrawn, unless it is renewed.
        evidence: What it was decided on, as plain values, for the audit.
        id: Its name, also in the firewall: lower-case letters and digits, at most 31.
    """

    match: Match
    limit: Limit | None = None
    ttl_s: float
    evidence: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_id)

    def __post_init__(self) -> None:
        """Refuse a name that a firewall may not take, and a time that has passed.

        Raises:
            SpecError: one of the two.
        """
        if not _ID.fullmatch(self.id):
            raise SpecError(f"an action's id is lower-case letters and digits, at most 31, not {self.id!r}")
        if self.ttl_s <= 0:
            raise SpecError(f"an action's ttl_s is above 0, not {self.ttl_s:g}")


def action_to_plain(action: Action) -> dict[str, Any]:
    """Return an action as plain values that JSON can hold; the inverse of :func:`action_from_plain`."""
    limit = action.limit
    return {
        "id": action.id,
        "match": match_to_plain(action.match),
        "limit": None if limit is None else [limit.packets_per_s, limit.burst_packets, limit.per_source],
        "ttl_s": action.ttl_s,
        "evidence": dict(action.evidence),
    }


def action_from_plain(plain: Mapping[str, Any]) -> Action:
    """Return the action that plain values describe.

    Raises:
        SpecError: it is none.
    """
    limit = plain["limit"]
    return Action(
        id=plain["id"],
        match=match_from_plain(plain["match"]),
        limit=None if limit is None else Limit(packets_per_s=limit[0], burst_packets=limit[1], per_source=limit[2]),
        ttl_s=plain["ttl_s"],
        evidence=plain["evidence"],
    )
