"""Events as they come over HTTP: in binary, structured and batch mode.

Source: CloudEvents 1.0.2, HTTP protocol binding and JSON batch format. An event is kept in structured mode as it came;
one that came in binary mode, or in a batch, is written anew, and whole numbers beyond 64 bits lose their last digits.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import orjson

from skerry.errors import BodyTooLargeError, MalformedBodyError
from skerry.events.claims import as_published
from skerry.events.delivery import Entry
from skerry.payload import Event, event_http
from skerry.payload.media import JSON, codec_name, essence

KEY: Final = "partitionkey"  # the extension of CloudEvents
DATA: Final = ("data", "data_base64")
USUAL: Final = frozenset(["specversion", "id", "source", "type", KEY, "data"])  # attributes, all of them text
FEW_LEVELS: Final = 200  # JSON that opens fewer lists and objects is written whatever its form
NO_ATTRIBUTES: Final = ("specversion", *DATA)
MOST_TOGETHER: Final = 10_000  # events of a batch: nobody else is answered while they are read, some 0.1 s


def read_events(headers: Mapping[str, str], body: bytes) -> list[Entry]:
    """Return the events of a request, each as one that has come from somebody else.

    Args:
        headers: With names in lower case.
        body: The whole body.

    Raises:
        MalformedBodyError: it holds no event, or one that is no CloudEvent 1.0; the message says which and why.
        BodyTooLargeError: it is a batch of more events than are taken at once.
    """
    return [as_published(entry) for entry in _read(headers, body)]


def _read(headers: Mapping[str, str], body: bytes) -> list[Entry]:
    kind = essence(headers.get("content-type", ""))
    if kind == event_http.BATCH:
        return _read_batch(body)
    if kind == event_http.STRUCTURED:
        return [_entry(_load(body), body)]
    if not event_http.is_event(headers):
        raise MalformedBodyError(
            "no CloudEvent: send the headers ce-id, ce-source, ce-type and ce-specversion (binary mode), or the "
            f"content type {event_http.STRUCTURED} or {event_http.BATCH}"
        )
    return [_read_binary(headers, body)]


def entry_of(event: Event) -> Entry:
    """Return an event as it is accepted.

    Raises:
        InvalidPayloadError: its data have no form in their content type.
        MalformedBodyError: it is nested too deeply.
    """
    body = event.to_structured()[1]
    return _entry(_load(body), body)


def _load(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"CloudEvent: the body is not JSON: {error}") from error


def _check_depth(document: Any, body: bytes) -> None:
    """Refuse what can be read and not be written again: as a dead letter, with further attributes, or in a list."""
    if len(body) >= FEW_LEVELS and body.count(b"[") + body.count(b"{") >= FEW_LEVELS:
        _write([{"event": document}])


def _write(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError as error:
        raise MalformedBodyError(f"CloudEvent: it is nested too deeply: {error}") from error


def _read_batch(body: bytes) -> list[Entry]:
    documents = _load(body)
    if not isinstance(documents, list):
        raise MalformedBodyError("CloudEvents: a batch is a JSON array")
    if len(documents) > MOST_TOGETHER:
        raise BodyTooLargeError(
            f"a batch of {len(documents)} events: at most {MOST_TOGETHER} are taken together, and none of these was; "
            "send them in several batches"
        )
    found = []
    for number, document in enumerate(documents):
        try:
            found.append(_entry(document, _write(document)))
        except MalformedBodyError as error:
            raise MalformedBodyError(
                f"event {number} of the batch: {error.message}; none of them was accepted", **error.details
            ) from error
    return found


def _read_binary(headers: Mapping[str, str], body: bytes) -> Entry:
    fields, content_type, raw = event_http.split(headers, body)
    document: dict[str, Any] = {"specversion": event_http.SPEC_VERSION, **fields.pop("extensions"), **fields}
    document["time"] = None if fields["time"] is None else fields["time"].isoformat().replace("+00:00", "Z")
    if content_type is not None:
        document["datacontenttype"] = content_type
    if raw and codec_name(content_type or "") == JSON:
        value = _load(raw)  # it must be what it says, or the document would not be JSON either
        _check_depth({"data": value}, raw)
        document["data"] = orjson.Fragment(raw)
    elif raw:
        document["data_base64"] = base64.b64encode(raw).decode("ascii")
    document = {name: value for name, value in document.items() if value is not None}
    return _entry(document, orjson.dumps(document))


def _entry(document: Any, written: bytes) -> Entry:
    """Return an event as it is accepted; most are of a usual form, which is quickly seen."""
    _check_depth(document, written)
    if not isinstance(document, dict) or "data_base64" in document or not document.keys() <= USUAL:
        return _check_entry(document, written)
    attributes = {name: value for name, value in document.items() if name not in NO_ATTRIBUTES}
    try:
        together = "".join(attributes.values())
        id_, source, type_ = attributes["id"], attributes["source"], attributes["type"]
    except (TypeError, KeyError):  # one is no text, or is missing
        return _check_entry(document, written)
    is_usual = id_ and source and type_ and together.isascii() and together.isprintable()
    if not is_usual or document.get("specversion") != event_http.SPEC_VERSION:
        return _check_entry(document, written)
    return Entry(source, id_, type_, attributes.get(KEY), written, attributes)


def _check_entry(document: Any, written: bytes) -> Entry:
    if not isinstance(document, dict):
        raise MalformedBodyError("CloudEvent: structured mode is one JSON object")
    if "data_base64" in document:
        _check_base64(document)
    given = {name: value for name, value in document.items() if name not in DATA and value is not None}
    fields = event_http.fields_of(dict(given))
    content_type = fields["extensions"].pop("datacontenttype", None)
    event = Event(**fields, datacontenttype=content_type)
    key = event.extensions.get(KEY)
    attributes = {
        name: value if isinstance(value, str) else str(value).lower()
        for name, value in given.items()
        if name not in NO_ATTRIBUTES
    }
    return Entry(event.source, event.id, event.type, None if key is None else str(key), written, attributes)


def _check_base64(document: Mapping[str, Any]) -> None:
    encoded = document["data_base64"]
    if encoded is None:
        return
    if document.get("data") is not None:
        raise MalformedBodyError("CloudEvent: data and data_base64 exclude each other", attribute="data_base64")
    try:
        base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise MalformedBodyError(f"CloudEvent: data_base64 is not base64: {error}", attribute="data_base64") from error
