"""What a person is told about places that do not answer while a run needs them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.learn.federated.plan import Plan
    from skerry.learn.federated.record.events import Event


def describe_loss(event: Event, plan: Plan) -> str:
    """Return what an event ``unreachable`` means: who is lost since when, what the run does, and what to do."""
    since = time.strftime("%H:%M:%S", time.localtime(event.at_s))
    waits = "the run waits for it" if plan.quorum_ratio == 1 else "a round that has its quorum goes on without it"
    if event.facts["site"] is None:
        return f"the engine is gone since {since}; {waits}; start it with: {event.facts['start']}"
    why = event.facts["reason"].rpartition(" does not answer: ")[2]  # an error's message begins with what is said here
    return f"{name_place(event)} does not answer since {since}: {why}; {waits}"


def name_place(event: Event) -> str:
    """Return what a place is called, with the client that is there, where that has another name."""
    site = event.facts["site"]
    if site is None:
        return "the engine"
    return f"site {site!r}" if event.client in (None, site) else f"{event.client} (site {site!r})"
