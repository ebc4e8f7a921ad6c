"""Which places do not answer: told once when one is lost, and once when it is back, however often it is tried."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from skerry.errors import EngineNotRunningError, SiteUnreachableError, SkerryError, TransportError
from skerry.learn.federated.plan import SERVER, Plan
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.record import Record

UNANSWERED = (SiteUnreachableError, EngineNotRunningError, TransportError)
"""Errors that say that nobody has answered; with all others, somebody has."""


@dataclass(slots=True)
class Contacts:
    """The places of a run; the threads that talk to clients tell of them.

    What they say changes nothing in the run: it is for those who watch it.

    Args:
        record: Of the run, which keeps the events.
        watch: Called with each event at once, in the thread that has found out.
        home_words: What names the engine of this machine in a command line, see `skerry.platforms.home.home_words`.
    """

    record: Record
    watch: Callable[[Event], None] | None = None
    home_words: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _lost: set[str | None] = field(default_factory=set)
    _closed: bool = False

    def of(self, client: str, round: int) -> Contact:
        """Return what a talk with a client tells about its place."""
        return Contact(self, _sites(self.record.plan)[client], round)

    def close(self) -> None:
        """Tell of nothing more: threads that nobody waits for may find out later, and a run's last event is its end."""
        with self._lock:
            self._closed = True

    def is_lost(self, site: str | None) -> bool:
        """Return whether a place did not answer when it was tried last."""
        return site in self._lost

    def lose(self, site: str | None, round: int, error: SkerryError) -> None:
        """Note that a place does not answer."""
        with self._lock:
            if site in self._lost or self._closed:
                return
            self._lost.add(site)
            # Any port will do: clients find the engine by its folder.
            hint = {} if site is not None else {"start": f"skerry engine start --port 0{self.home_words}"}
            self._tell("unreachable", site, round, reason=error.message, **hint)

    def find(self, site: str | None, round: int) -> None:
        """Note that a place has answered."""
        if site not in self._lost:  # nearly always, and then nothing is waited for
            return
        with self._lock:
            if site not in self._lost or self._closed:
                return
            self._lost.discard(site)
            self._tell("back", site, round)

    def _tell(self, kind: Any, site: str | None, round: int, **facts: Any) -> None:
        clients = sorted(name for name, at in _sites(self.record.plan).items() if at == site)
        client = clients[0] if len(clients) == 1 else None
        event = self.record.tell(kind, round, client, site=site, clients=clients, **facts)
        if self.watch is not None:
            self.watch(event)


@dataclass(frozen=True, slots=True)
class Contact:
    """The place of one talk.

    Args:
        contacts: Of the run.
        site: The place.
        round: In which is talked.
    """

    contacts: Contacts
    site: str | None
    round: int

    @property
    def is_lost(self) -> bool:
        """Whether it did not answer when it was tried last."""
        return self.contacts.is_lost(self.site)

    def failed(self, error: SkerryError) -> None:
        """Take in an error: its place does not answer, or has answered with it."""
        if isinstance(error, UNANSWERED):
            self.contacts.lose(self.site, self.round, error)
        else:
            self.heard()

    def heard(self) -> None:
        """Take in that it has answered."""
        self.contacts.find(self.site, self.round)


def _sites(plan: Plan) -> dict[str, str | None]:
    sites = {member.name: member.site for member in plan.members}
    return sites if plan.server is None else {**sites, SERVER: plan.server}
