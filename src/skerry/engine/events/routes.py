"""The addresses of the broker: events come in at ``/events``, operators look and act below ``/broker``."""

from __future__ import annotations

from typing import Any

import orjson

from skerry.engine.events.mark import LocalMark
from skerry.errors import EventNotFoundError, MalformedBodyError, PrivacyError, SkerryError
from skerry.events.broker import Broker
from skerry.events.dead import with_error
from skerry.events.delivery import DeadLetter, Entry, KeptEvent
from skerry.events.reading import read_events
from skerry.events.sources.roster import Roster
from skerry.events.traces import Publishing
from skerry.runtime.front import Front
from skerry.runtime.message import Request, Response

LISTED = 100
MOST_LISTED = 10_000
MOST_BODY_BYTES = 32 * 2**20
PRIVATE = "a function here is labelled local: what it was given and answered does not leave this site"


class EventRoutes:
    """Answers requests about events.

    Args:
        broker: What takes them.
        sources: What brings them besides publishers, if anything does.
        mark: Says until when functions that are labelled ``local`` took them, if any did.
    """

    def __init__(self, broker: Broker, sources: Roster | None = None, mark: LocalMark | None = None) -> None:
        self._broker = broker
        self._sources = sources
        self._mark = mark

    def add(self, front: Front) -> None:
        """Serve the addresses on a front."""
        front.route("POST", "/events", self._publish, max_body_bytes=MOST_BODY_BYTES)
        front.route("GET", "/broker", self._describe)
        front.route("GET", "/broker/events", self._list)
        front.route("GET", "/broker/events/*", self._show)
        front.route("POST", "/broker/events/*/replay", self._replay)
        front.route("GET", "/broker/dead", self._dead)
        front.route("POST", "/broker/dead/*/replay", self._revive)
        front.route("DELETE", "/broker/dead/*", self._bury)

    async def _publish(self, request: Request) -> Response:
        headers = request.headers
        publishing = Publishing(self._broker.tracer, headers.get("traceparent"), headers.get("tracestate"))
        entries: list[Entry] = []
        try:
            entries = publishing.mark(read_events(headers, request.body))
            wanted = self._broker.addressed(entries, is_foreign=not request.same_machine)
            found = await self._broker.put(wanted)
        except SkerryError as error:
            publishing.finish(error.http_status, len(entries))
            raise
        publishing.finish(202, len(entries))
        return Response.of_json(
            {
                "accepted": len(found),
                "duplicates": sum(not one.is_new for one in found),
                "untaken": sum(not triggers for _, triggers in wanted),
            },
            status=202,
        )

    def _describe(self, _: Request) -> Response:
        sources = [] if self._sources is None else self._sources.describe()
        return Response.of_json({**self._broker.describe(), "sources": sources})

    def _check_private(self, request: Request) -> None:
        if self._broker.has_local and not request.same_machine:
            raise PrivacyError(PRIVATE)

    def _private_until_s(self, request: Request) -> float:
        """Return until when accepted events are kept from a caller: a function that is gone may have taken them."""
        return 0.0 if request.same_machine or self._mark is None else self._mark.until_s

    async def _find(self, number: int, request: Request) -> KeptEvent:
        kept = await self._broker.backlog.event(number)
        if kept is None:
            raise _unknown(number)
        if kept.accepted_at <= self._private_until_s(request):
            raise PrivacyError(PRIVATE)
        return kept

    async def _is_open(self, dead: DeadLetter, until_s: float) -> bool:
        if dead.died_at <= until_s:
            return False
        kept = await self._broker.backlog.event(dead.event)
        return kept is not None and kept.accepted_at > until_s

    def _check_trigger(self, name: str) -> None:
        if name not in self._broker.feeds:
            there = ", ".join(self._broker.feeds) or "none"
            raise EventNotFoundError(f"there is no trigger {name!r}; there are: {there}")

    async def _list(self, request: Request) -> Response:
        self._check_private(request)
        before = request.parameter("before")
        found = await self._broker.backlog.events(
            most=_limit(request),
            type=request.parameter("type"),
            id=request.parameter("id"),
            before=None if before is None else _whole(before, "before"),
        )
        until_s = self._private_until_s(request)
        return Response.of_json([_event(one) for one in found if one.accepted_at > until_s])

    async def _show(self, request: Request) -> Response:
        self._check_private(request)
        number = _whole(_segment(request), "the event's number")
        return Response.of_json(_event(await self._find(number, request)))

    async def _replay(self, request: Request) -> Response:
        self._check_private(request)
        number = _whole(_segment(request), "the event's number")
        trigger = request.parameter("trigger")
        if trigger is not None:
            self._check_trigger(trigger)
        await self._find(number, request)
        names = await self._broker.replay(number, trigger)
        if names is None:
            raise _unknown(number)
        return Response.of_json({"event": number, "triggers": names}, status=202)

    async def _dead(self, request: Request) -> Response:
        self._check_private(request)
        trigger = request.parameter("trigger")
        if trigger is not None:
            self._check_trigger(trigger)
        found = await self._broker.backlog.dead(trigger=trigger, most=_limit(request))
        until_s = self._private_until_s(request)
        if until_s:
            found = [one for one in found if await self._is_open(one, until_s)]
        return Response.of_json([_dead_letter(one) for one in found])

    async def _revive(self, request: Request) -> Response:
        self._check_private(request)
        number = _whole(_segment(request), "the dead letter's number")
        names = await self._broker.revive([number])
        if not names:
            raise EventNotFoundError(f"there is no dead letter {number}")
        return Response.of_json({"dead_letter": number, "triggers": names}, status=202)

    async def _bury(self, request: Request) -> Response:
        number = _whole(_segment(request), "the dead letter's number")
        if not await self._broker.backlog.bury([number]):
            raise EventNotFoundError(f"there is no dead letter {number}")
        return Response(status=204)


def _event(kept: KeptEvent) -> dict[str, Any]:
    return {
        "number": kept.number,
        "accepted_at": kept.accepted_at,
        "waiting": list(kept.waiting),
        "dead": list(kept.dead),
        "event": orjson.loads(kept.document),
    }


def _dead_letter(dead: DeadLetter) -> dict[str, Any]:
    """Return a dead letter: its event with the attributes that Knative gives to those."""
    event = with_error(dead.document, trigger=dead.trigger, code=dead.code, error=dead.error)
    return {
        "number": dead.position,
        "trigger": dead.trigger,
        "event_number": dead.event,
        "attempts": dead.attempts,
        "died_at": dead.died_at,
        "event": event,
    }


def _unknown(number: int) -> EventNotFoundError:
    return EventNotFoundError(f"there is no event {number}; those that are dealt with are kept for a day")


def _segment(request: Request) -> str:
    return request.path.strip("/").split("/")[2]


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise MalformedBodyError(f"{name}: {text[:40]!r} is not a whole number")
    return int(text)


def _limit(request: Request) -> int:
    limit = _whole(request.parameter("limit") or str(LISTED), "limit")
    if not 1 <= limit <= MOST_LISTED:
        raise MalformedBodyError(f"limit = {limit}: must be from 1 to {MOST_LISTED}")
    return limit
