"""Messages of other brokers become events: a CloudEvent stays what it is, anything else is wrapped in one. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from skerry.errors import SkerryError
from skerry.events.delivery import Entry
from skerry.events.reading import KEY, entry_of, read_events
from skerry.payload import Event, event_http
from skerry.payload.media import JSON, codec_name, essence

TEXT = "text/plain"
BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as another broker has given it.

    Args:
        channel: Its topic or subject.
        payload: Its bytes.
        content_type: What it says that they are, if it says so.
        properties: What it says besides, such as the attributes of a CloudEvent in binary mode.
    """

    channel: str
    payload: bytes
    content_type: str | None = None
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """How a source makes events of messages.

    Args:
        type: Type of the events.
        source: Their source.
        ordered: Whether messages of one channel stay in order.
    """

    type: str
    source: str
    ordered: bool


def entry_of_message(message: Message, wrapping: Wrapping, *, id: str, came_s: float) -> Entry:
    """Return the event that a message becomes; every message becomes one.

    Args:
        message: The message.
        wrapping: How it becomes one, where it is none.
        id: The event's id then.
        came_s: When the message was received, Unix time, seconds: the event's time, where it is none.
    """
    found = _cloud_event(message)
    if found is not None:
        return found
    channel = message.channel if message.channel.isprintable() else quote(message.channel, safe="/")

    def wrap(content_type: str | None, data: Any) -> Entry:
        return entry_of(
            Event(
                type=wrapping.type,
                source=wrapping.source,
                id=id,
                subject=channel,
                time=datetime.datetime.fromtimestamp(came_s, datetime.UTC),
                datacontenttype=content_type,
                data=data,
                extensions={KEY: channel} if wrapping.ordered else {},
            )
        )

    try:
        return wrap(*_data(message))
    except SkerryError:  # JSON that is read but not written, such as what is nested too deeply
        return wrap(BYTES, message.payload)


def _cloud_event(message: Message) -> Entry | None:
    kind = essence(message.content_type or "")
    properties = {name.lower(): text for name, text in message.properties.items()}
    if kind == event_http.STRUCTURED:
        headers = {"content-type": kind}
    elif {"specversion", "id", "source", "type"} <= properties.keys():
        headers = {f"ce-{name}": quote(text, safe=" !#$&'()*+,/:;=?@[]~") for name, text in properties.items()}
        headers |= {} if message.content_type is None else {"content-type": message.content_type}
    else:
        return None
    try:
        (found,) = read_events(headers, message.payload)
    except (SkerryError, ValueError):  # it is none, or not one
        return None  # it is wrapped as it came, and the function that wants an event says so
    return found


def _data(message: Message) -> tuple[str | None, Any]:
    """Return what the payload is, and its value."""
    payload, said = message.payload, message.content_type
    if not payload:
        return None, None
    is_json = said is None or codec_name(said) == JSON
    if is_json and b"\0" not in payload:
        try:
            return JSON, orjson.loads(payload)
        except orjson.JSONDecodeError:
            pass
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return BYTES, payload
    return (TEXT, text) if said is None or said.startswith("text/") or is_json else (BYTES, payload)
