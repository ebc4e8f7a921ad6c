"""CloudEvents 1.0 in memory; ``event_http`` puts them on the wire."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from skerry.errors import MalformedBodyError
from skerry.payload import event_http
from skerry.payload.media import JSON

_EXTENSION_NAME = re.compile(r"[a-z0-9]{1,64}")
_RESERVED = frozenset(
    ["id", "source", "specversion", "type", "data", "data_base64", "datacontenttype", "dataschema", "subject", "time"]
)
_TEXT_ATTRIBUTES = ("subject", "datacontenttype", "dataschema")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A CloudEvent.

    Example:
        ``Event(type="net.flow.window", source="/site/north", data={"bytes": 1200})``

    Args:
        type: What happened, such as ``net.flow.window``.
        source: Who says so, as a URI reference.
        id: Unique for the source; a random one unless given.
        data: What there is to say: plain values, or bytes; None means no data.
        time: When it happened; with a time zone.
        subject: What it is about, within the source.
        datacontenttype: How the data travels; unless given, JSON, and ``application/octet-stream`` for bytes.
        dataschema: URI of the data's schema.
        extensions: Further attributes: names of lower-case letters and digits; text, whole numbers and booleans.

    Raises:
        MalformedBodyError: an attribute is not what CloudEvents 1.0 allows; the message names it.

    Source: CloudEvents specification 1.0.2, https://github.com/cloudevents/spec. Extension names may have up to 64
    characters (the specification recommends 20).
    """

    type: str
    source: str = "/skerry"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    data: Any = None
    time: datetime.datetime | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("id", "source", "type"):
            _check_text(name, getattr(self, name))
        for name in _TEXT_ATTRIBUTES:
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name))
        if self.time is not None and (not isinstance(self.time, datetime.datetime) or self.time.tzinfo is None):
            raise MalformedBodyError("CloudEvent: time must be a datetime with a time zone", attribute="time")
        for name, value in self.extensions.items():
            _check_extension(name, value)
        object.__setattr__(self, "extensions", MappingProxyType(dict(self.extensions)))
        if self.data is not None and self.datacontenttype is None:
            binary = isinstance(self.data, bytes)
            object.__setattr__(self, "datacontenttype", "application/octet-stream" if binary else JSON)

    def __reduce__(self) -> tuple[Any, ...]:
        # The read-only view of the extensions cannot be pickled or copied as it is.
        values = (self.type, self.source, self.id, self.data, self.time, self.subject, self.datacontenttype)
        return _rebuild, (*values, self.dataschema, dict(self.extensions))

    @classmethod
    def from_http(cls, headers: Mapping[str, str], body: bytes) -> Event:
        """Return the event of a request or an answer, in binary or structured mode.

        Args:
            headers: With names in lower case.
            body: The whole body.

        Raises:
            MalformedBodyError: it is no CloudEvent 1.0; the message names the attribute.
        """
        return cls(**event_http.read(headers, body))

    @classmethod
    def from_batch(cls, body: bytes) -> list[Event]:
        """Return the events of a body in the JSON batch format.

        Raises:
            MalformedBodyError: it is no batch of CloudEvents 1.0; the message says which event is none, and why.
        """
        return [cls(**fields) for fields in event_http.read_batch(body)]

    @staticmethod
    def is_event(headers: Mapping[str, str]) -> bool:
        """Return whether headers (names in lower case) announce a CloudEvent, in either mode."""
        return event_http.is_event(headers)

    def to_binary(self) -> tuple[dict[str, str], bytes]:
        """Return the headers (names in lower case) and the body of the event in binary mode.

        Raises:
            InvalidPayloadError: the data has no form in ``datacontenttype``.
        """
        return event_http.write_binary(self._attributes(), self.datacontenttype, self.data)

    def to_structured(self) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of the event in structured mode: one JSON object.

        Raises:
            InvalidPayloadError: the data has no form in ``datacontenttype``.
        """
        return event_http.write_structured(self._attributes(), self.datacontenttype, self.data)

    def _attributes(self) -> dict[str, str | int | bool]:
        attributes: dict[str, str | int | bool | None] = {
            "specversion": event_http.SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": None if self.time is None else self.time.isoformat().replace("+00:00", "Z"),
            "subject": self.subject,
            "dataschema": self.dataschema,
            **self.extensions,
        }
        return {name: value for name, value in attributes.items() if value is not None}


def _rebuild(*values: Any) -> Event:
    names = ("type", "source", "id", "data", "time", "subject", "datacontenttype", "dataschema", "extensions")
    return Event(**dict(zip(names, values, strict=True)))


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise MalformedBodyError(f"CloudEvent: {name} must be text that is not empty", attribute=name)
    if _CONTROL.search(value) or (name == "datacontenttype" and not value.isascii()):
        raise MalformedBodyError(f"CloudEvent: {name} holds a character that it may not hold", attribute=name)


def _check_extension(name: Any, value: Any) -> None:
    if not isinstance(name, str) or not _EXTENSION_NAME.fullmatch(name) or name in _RESERVED:
        raise MalformedBodyError(
            f"CloudEvent: extension {str(name)[:40]!r}: a name takes lower-case letters and digits only, "
            "and no name of the specification's own",
            attribute=str(name)[:40],
        )
    if isinstance(value, str):
        if _CONTROL.search(value):
            raise MalformedBodyError(f"CloudEvent: {name} holds a control character", attribute=name)
    elif not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise MalformedBodyError(
            f"CloudEvent: {name} must be text, a boolean or a whole number of 32 bits", attribute=name
        )
