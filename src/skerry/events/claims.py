"""Events that come from others under a source of the engine's own, and what they are known by. Pure.

The ids of what timers, sources and dead letters publish can be told in advance. An event that somebody else publishes
under such a name keeps it, for it may be one that is forwarded, but it is known by another: no event of the engine's is
taken for one that has come before.
"""

from __future__ import annotations

from typing import Final

from skerry.events.delivery import Entry
from skerry.payload import Event

OWN: Final = ("/skerry/timer/", "/skerry/source/", "/skerry/dead/")
MARK: Final = "skerrypublished"  # the attribute of an event that has come from somebody else under a source of ours


def as_published(entry: Entry) -> Entry:
    """Return an event that has come from somebody else as it is accepted."""
    if not entry.source.startswith(OWN):
        return entry
    marked = entry if MARK in entry.attributes else entry.with_attributes({MARK: "true"})
    return marked._replace(source=f"/skerry/published{entry.source}")


def identity_of(event: Event) -> tuple[str, ...]:
    """Return what tells an event from others: its source and id, and whether it only claims a source of ours."""
    return (event.source, event.id, MARK) if MARK in event.extensions else (event.source, event.id)
