"""The secure sum of a round: a ceremony's tasks out, its replies in, each written down before the next phase."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from skerry.errors import SkerryError, UnavailableError
from skerry.learn.federated.coordinator.conversation import Talk
from skerry.learn.federated.coordinator.crew import Crew, Outcome
from skerry.learn.federated.coordinator.shared import Shared
from skerry.learn.federated.record.ceremony_log import CeremonyLog
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.secure.messages import PHASES, SecureTask, Terms, read_reply, write
from skerry.learn.federated.secure.ring import Total
from skerry.learn.federated.secure.server import SecureServer
from skerry.learn.federated.wire.messages import Enclosed

LOOK_S = 0.5  # between looks at whether a person has asked for something
LEAST_GRACE_S = 5.0  # a client that is waited for no longer has its training thrown away


class Summing:
    """The secure aggregation of one round.

    Args:
        shared: What all rounds have in common.
        round: The round.
        terms: As the clients were told.
        trained: Who holds an update for it.
        log: Of the round's ceremonies.
    """

    def __init__(self, shared: Shared, round: int, terms: Terms, trained: Sequence[str], log: CeremonyLog) -> None:
        self.total: Total | None = None
        self.bytes_up = 0
        self._shared = shared
        self._number = round
        self._terms = terms
        self._trained = tuple(trained)
        self._log = log
        self._begun = 0

    def events(self) -> Iterator[Event]:
        """Hold a ceremony, or go on with the one that an earlier coordinator has begun; `total` is there afterwards.

        It is not there where a person has asked for the run's end.

        Raises:
            UnavailableError: too few clients are left; the run can be resumed.
            DataError: the shares do not fit what they are of.
        """
        server = self._recall() or self._begin()
        while server.phase is not None:
            phase = server.phase
            reasons: dict[str, str] = {}
            if not self._collect(server, reasons):
                return
            self._require(server, reasons)
            self._log.add({"closed": phase}, sync=True)
            server.advance()
            yield self._shared.record.tell("phase-ended", self._number, phase=phase, missed=reasons)
        self.total = server.total()

    # What was written down

    def _recall(self) -> SecureServer | None:
        """Return the last ceremony as it stood; none where there is none to go on with."""
        server: SecureServer | None = None
        for entry in self._log.entries():
            if "clients" in entry:
                self._begun += 1
                server = self._server(entry["clients"])
            elif server is not None and "reply" in entry:
                self._receive(server, entry["reply"])
            elif server is not None and "closed" in entry:
                server.advance()
            else:
                server = None
        return server

    def _begin(self) -> SecureServer:
        self._begun += 1
        server = self._server(self._trained)
        # On disk before anybody hears the name: none is ever used for a second ceremony.
        self._log.add({"clients": list(self._trained)}, sync=True)
        return server

    def _server(self, clients: Sequence[str]) -> SecureServer:
        job = self._shared.record.plan.job
        name = f"{job}-{self._number}-{self._begun}"
        return SecureServer(self._terms, job=job, round=self._number, ceremony=name, clients=clients)

    def _receive(self, server: SecureServer, message: bytes) -> None:
        reply = read_reply(message)
        server.receive(reply)
        if reply.phase == "masked":
            self.bytes_up += len(reply.masked)

    # What comes

    def _collect(self, server: SecureServer, reasons: dict[str, str]) -> bool:
        """Take a phase's replies until nobody is left who is worth waiting for; false if the run is to end."""
        tasks = server.tasks()
        waiting = set(server.waiting)
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        ended = threading.Event()
        plan = self._shared.record.plan
        call = self._caller(tasks, ended)
        crew = Crew(self._number, sorted(waiting), call, outcomes, threads=self._shared.threads, size=plan.in_flight)
        began_s = time.monotonic()
        until_s = began_s + plan.patience.deadline_s
        try:
            while waiting and server.waiting and (left_s := until_s - time.monotonic()) > 0:
                try:
                    outcome = outcomes.get(timeout=min(left_s, LOOK_S))
                except queue.Empty:
                    if self._shared.record.request() == "cancel":
                        return False
                    continue
                waiting.discard(outcome.client)
                self._take(server, outcome, reasons)
                if len(tasks) - len(server.waiting) >= self._terms.threshold:
                    now_s = time.monotonic()
                    until_s = min(until_s, now_s + max(2 * (now_s - began_s), LEAST_GRACE_S))
        finally:
            crew.close()
            ended.set()
        for name in waiting & set(server.waiting):
            reasons[name] = "no answer in time"
        return True

    def _caller(self, tasks: dict[str, SecureTask], ended: threading.Event) -> Callable[[str], bytes]:
        def call(client: str) -> bytes:
            task = Enclosed(message=write(tasks[client]))
            talk: Talk[Enclosed] = Talk(
                function=self._shared.apps[client]["secure"],
                short=lambda: task,
                whole=lambda: task,
                ended=ended,
                room=self._shared.room,
                contact=self._shared.contacts.of(client, self._number),
            )
            return talk.run().message

        return call

    def _take(self, server: SecureServer, outcome: Outcome, reasons: dict[str, str]) -> None:
        try:
            if outcome.error is not None:
                raise outcome.error
            before = outcome.client in server.waiting
            self._receive(server, outcome.value)
        except SkerryError as error:
            reasons[outcome.client] = error.message
            return
        if before:
            self._log.add({"reply": outcome.value})

    def _require(self, server: SecureServer, reasons: dict[str, str]) -> None:
        """Refuse to close a phase with too few clients.

        The last phase stays open: it is the only one that can still give the sum, and a resumed run asks on. Before
        it, a resumed run begins another ceremony.

        Raises:
            UnavailableError: there are too few.
        """
        heard = len(server.tasks()) - len(server.waiting)
        if server.phase == PHASES[-1] and not server.waiting:
            return
        if heard >= self._terms.threshold:
            return
        if server.phase != PHASES[-1]:
            self._log.add({"ended": server.phase}, sync=True)
        why = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items()))
        raise UnavailableError(
            f"round {self._number}: {heard} clients have answered phase {server.phase!r} of the secure aggregation, "
            f"{self._terms.threshold} are needed" + (f": {why}" if why else ""),
            hint="resume the run when the clients are back",
        )
