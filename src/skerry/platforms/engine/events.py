"""The events of an engine's broker, as its callers see them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from skerry.platforms.base import PLAIN_CALL
from skerry.platforms.http.caller import Caller, Request
from skerry.platforms.options import CallOptions

if TYPE_CHECKING:
    from skerry.payload import Event

BATCH = "application/cloudevents-batch+json"
_KNOWN = CallOptions(idempotent=True)  # an event is known by source and id: sent twice, it is accepted once


class BrokerClient:
    """The part of an engine's client that has to do with events."""

    _caller: Caller

    def publish(self, events: Iterable[Event]) -> dict[str, int]:
        """Hand events to the broker, all or none; they are durable when this returns.

        Returns:
            ``accepted``, and how many of them were there before, ``duplicates``, and are taken by no trigger,
            ``untaken``.

        Raises:
            QueueFullError: so many events wait that no more are taken.
            UnavailableError: they cannot be written now.
            MalformedBodyError: one is none; the message says which.

        Example:
            ``engine.publish([skerry.Event(type="door.opened", data={"door": 3})])``
        """
        given = list(events)
        body = b"[" + b",".join(event.to_structured()[1] for event in given) + b"]"
        traced = [text for event in given if (text := str(event.extensions.get("traceparent", ""))) and text.isascii()]
        return self.publish_body(body, BATCH, traceparent=traced[0] if traced else None)

    def publish_body(self, body: bytes, content_type: str, *, traceparent: str | None = None) -> dict[str, int]:
        """Hand a body with one event or several to the broker; see :meth:`publish`.

        Args:
            body: In structured mode, or a batch.
            content_type: Which of the two.
            traceparent: The trace that the request belongs to.
        """
        headers = {"Content-Type": content_type, **({"traceparent": traceparent} if traceparent else {})}
        asked = Request(method="POST", path="/events", body=body, headers=headers, options=_KNOWN)
        return dict(json.loads(self._caller.request(asked).body))

    def broker(self) -> dict[str, Any]:
        """Return what the broker has taken, what waits, and its triggers."""
        return dict(self._ask("GET", "/broker"))

    def kept_events(
        self, *, type: str | None = None, id: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return the newest events that the broker keeps.

        Args:
            type: Only those of this type.
            id: Only those with this id.
            before: Only those with a smaller number.
            limit: How many at most.
        """
        query = {"type": type, "id": id, "before": before, "limit": limit}
        return list(self._ask("GET", "/broker/events", query))

    def kept_event(self, number: int) -> dict[str, Any]:
        """Return an event by its number.

        Raises:
            EventNotFoundError: it is not kept.
        """
        return dict(self._ask("GET", f"/broker/events/{number}"))

    def replay(self, number: int, *, trigger: str | None = None) -> list[str]:
        """Give a kept event to functions once more; return the triggers.

        Args:
            number: Its number.
            trigger: Only to this one; else to all that take it now.

        Raises:
            EventNotFoundError: the event is not kept, or there is no such trigger.
        """
        return list(self._ask("POST", f"/broker/events/{number}/replay", {"trigger": trigger})["triggers"])

    def dead_letters(self, *, trigger: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest dead letters: events that a function was given in vain.

        Args:
            trigger: Only those of this trigger.
            limit: How many at most.

        Raises:
            EventNotFoundError: there is no such trigger.
        """
        return list(self._ask("GET", "/broker/dead", {"trigger": trigger, "limit": limit}))

    def revive(self, number: int) -> None:
        """Give a dead letter to its function again, with all its attempts.

        Raises:
            EventNotFoundError: there is no such dead letter.
        """
        self._ask("POST", f"/broker/dead/{number}/replay")

    def bury(self, number: int) -> None:
        """Forget a dead letter.

        Raises:
            EventNotFoundError: there is no such dead letter.
        """
        self._ask("DELETE", f"/broker/dead/{number}")

    def _ask(self, method: str, path: str, query: dict[str, Any] | None = None) -> Any:
        given = {key: value for key, value in (query or {}).items() if value is not None}
        # A replay or a deletion that was done and not answered must not be done once more without a word.
        options = _KNOWN if method == "GET" else PLAIN_CALL
        asked = Request(method=method, path=f"{path}?{urlencode(given)}" if given else path, options=options)
        body = self._caller.request(asked).body
        return json.loads(body) if body else None
