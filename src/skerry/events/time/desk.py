"""What windows and joins have in common: how an event is told, how it is known again, and what is on its way out."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable
from typing import Any, Final

from skerry.errors import ConfigError, MalformedBodyError
from skerry.payload import Event
from skerry.spec import parse_duration
from skerry.store.state import State

LATE: Final = "late"
CLOCK: Final = "clock"
STRUCTURED: Final = {"content-type": "application/cloudevents+json"}
DEFAULT_KEY: Final = "partitionkey"


class Desk:
    """Takes events into a state.

    Args:
        state: Its state, which nothing else uses.
        key: The attribute whose text events have to share; those without it share the empty one.
        now: Returns the Unix time, seconds.
    """

    def __init__(self, state: State, key: str, now: Callable[[], float]) -> None:
        if not isinstance(state, State):
            raise ConfigError(f"{state!r} is no state: give a state of its own, like app.state('windows')")
        self.state = state
        self._key = key
        self._now = now

    @property
    def late(self) -> int:
        """How many events came too late and were left out; ``skerry state get APP/STATE late`` shows it too."""
        return int(self.state.get(LATE, int) or 0)

    def now_us(self) -> int:
        """Return the time here, as a moment."""
        return round(self._now() * 1e6)

    def key_of(self, event: Event) -> str:
        """Return the text that an event has to share with others."""
        found = event.subject if self._key == "subject" else event.extensions.get(self._key)
        return "" if found is None else str(found)


def time_of_event(event: Event) -> datetime.datetime:
    """Return when an event happened.

    Raises:
        MalformedBodyError: it does not say so. The function refuses it, and it becomes a dead letter.
    """
    if not isinstance(event, Event) or event.time is None:
        raise MalformedBodyError("the event has no time, which says when it happened", attribute="time")
    return event.time


def name_of(*texts: str) -> str:
    """Return a name for what several texts mean together, as a part of a key of a state."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def write(event: Event) -> str:
    """Return an event as it is kept."""
    return event.to_structured()[1].decode()


def read(document: Any) -> Event:
    """Return a kept event."""
    return Event.from_http(STRUCTURED, str(document).encode())


def duration_us(text: str, *, key: str, low_us: int) -> int:
    """Return a duration with its unit as microseconds.

    Raises:
        ConfigError: it is too short, or longer than 31 days.
    """
    found = round(parse_duration(text, key=key) * 1e6)
    if not low_us <= found <= 31 * 86_400 * 10**6:
        raise ConfigError(f"{key} = {text!r}: must be from {low_us / 1e6:g} s to 31 d")
    return found


def system_time_s() -> float:
    """Return the Unix time, seconds."""
    return time.time()
