"""What the rounds of one coordinator have in common."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from skerry.learn.federated.coordinator.contact import Contacts
from skerry.learn.federated.coordinator.conversation import OpenCalls, Spawner, spoken_to
from skerry.learn.federated.coordinator.crew import Outcomes, Threads
from skerry.learn.federated.coordinator.downlink import Outgoing
from skerry.learn.federated.coordinator.room import Room
from skerry.learn.federated.policies.history import History
from skerry.learn.federated.record.record import Record
from skerry.learn.federated.selection import Selection
from skerry.learn.federated.strategies.base import Strategy
from skerry.learn.federated.wire.messages import FitReply
from skerry.learn.federated.wire.parameters import Vector
from skerry.learn.federated.wire.tokens import UsedTokens


@dataclass(slots=True, kw_only=True)
class Shared:
    """What rounds have in common; only the coordinator's own thread changes it, apart from `fits` and `contacts`.

    Args:
        record: Of the run.
        strategy: Makes the models.
        selection: Says who takes part.
        apps: The functions of each client's app, by client.
        histories: Of all clients.
        outgoing: The model as clients were sent it last.
        outcomes: What threads bring, those of earlier rounds included.
        room: For models on their way, and replies as large as models.
        contacts: Told by talks which places do not answer.
        threads: What clients are called in.
        holds: Digest of the model that a client is known to hold.
        digests: Of the models that rounds trained from, by round.
        given: Those models, as long as a client works from one of them.
        used: Tokens of replies that count.
        talks: Ends a client's talk, and those of the same round: nobody waits for them any more.
        calls: Trainings whose replies are waited for.
        fits: What `fit_of` has made, by client.
    """

    record: Record
    strategy: Strategy
    selection: Selection
    apps: dict[str, Any]
    histories: dict[str, History]
    outgoing: Outgoing
    outcomes: Outcomes
    room: Room
    contacts: Contacts
    threads: Threads = field(default_factory=Threads)
    holds: dict[str, str] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)
    given: dict[int, Vector] = field(default_factory=dict)
    used: UsedTokens = field(default_factory=UsedTokens)
    talks: dict[str, threading.Event] = field(default_factory=dict)
    calls: OpenCalls = field(default_factory=OpenCalls)
    fits: dict[str, Spawner[FitReply]] = field(default_factory=dict)

    def fit_of(self, client: str) -> Spawner[FitReply]:
        """Return how a client is told to train, see `spoken_to`; its own thread asks, when its place is needed."""
        if client not in self.fits:
            self.fits[client] = spoken_to(self.apps[client]["fit"], self.room)
        return self.fits[client]

    def end_talks(self) -> None:
        """Wait for nobody any more."""
        for ended in self.talks.values():
            ended.set()
        self.contacts.close()
        self.outcomes.close()
        self.threads.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A client's reply, and what its talk has cost.

    Args:
        reply: The reply.
        duration_s: From the first word to the reply, in seconds.
        send_s: Of it, until the task had been accepted.
        bytes_down: Of models, as they were sent.
    """

    reply: Any
    duration_s: float
    send_s: float
    bytes_down: int
