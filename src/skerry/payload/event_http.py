"""The HTTP binding of CloudEvents 1.0: binary mode (attributes in headers) and structured mode (one JSON object).

Source: CloudEvents 1.0.2, HTTP protocol binding, JSON event format and JSON batch format.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from skerry.errors import InvalidPayloadError, MalformedBodyError
from skerry.payload.codec import decode, encode, encode_json
from skerry.payload.media import JSON, codec_name, essence

SPEC_VERSION = "1.0"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

_PREFIX = "ce-"
_STRUCTURED_FAMILY = "application/cloudevents"
_REQUIRED = ("id", "source", "type")
_OPTIONAL = ("subject", "time", "dataschema")
# What a header may carry as it is: printable ASCII but space, double quote and percent.
_PLAIN = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def is_event(headers: Mapping[str, str]) -> bool:
    """Return whether headers (names in lower case) announce a CloudEvent, in either mode."""
    return "ce-specversion" in headers or essence(headers.get("content-type", "")).startswith(_STRUCTURED_FAMILY)


def read(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the fields of the event, with its data decoded.

    Raises:
        MalformedBodyError: it is no CloudEvent 1.0; the message names the attribute.
    """
    if essence(headers.get("content-type", "")) == STRUCTURED:
        return _read_document(_load(body))
    fields, content_type, raw = split(headers, body)
    fields["datacontenttype"] = content_type
    fields["data"] = _decode_data(content_type, raw)
    return fields


def read_batch(body: bytes) -> list[dict[str, Any]]:
    """Return the fields of the events of a batch, with their data decoded.

    Raises:
        MalformedBodyError: it is no batch of CloudEvents 1.0; the message says which event is none, and why.
    """
    documents = _load(body)
    if not isinstance(documents, list):
        raise MalformedBodyError("CloudEvents: a batch is a JSON array")
    found = []
    for number, document in enumerate(documents):
        try:
            found.append(_read_document(document))
        except MalformedBodyError as error:
            raise MalformedBodyError(f"event {number} of the batch: {error.message}", **error.details) from error
    return found


def write_batch(bodies: Iterable[bytes]) -> bytes:
    """Return events in structured mode as one batch."""
    return b"[" + b",".join(bodies) + b"]"


def is_batch(headers: Mapping[str, str]) -> bool:
    """Return whether headers (names in lower case) announce a batch of CloudEvents."""
    return essence(headers.get("content-type", "")) == BATCH


def split(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, Any], str | None, bytes]:
    """Return the event's attributes, the content type of its data, and its data as bytes.

    Raises:
        MalformedBodyError: it is no CloudEvent 1.0; the message names the attribute.
    """
    content_type = headers.get("content-type")
    kind = essence(content_type or "")
    if kind.startswith(_STRUCTURED_FAMILY):
        if kind != STRUCTURED:
            raise MalformedBodyError(f"CloudEvent: {kind[:100]} is not read here; send {STRUCTURED} or binary mode")
        return split_structured(body)
    found = {name[len(_PREFIX) :]: _unquote(name, value) for name, value in headers.items() if name.startswith(_PREFIX)}
    # Binary mode says it in Content-Type; a second opinion is not listened to.
    found.pop("datacontenttype", None)
    if not body and content_type is None:
        return fields_of(found), None, b""
    return fields_of(found), content_type or JSON, body


def split_structured(body: bytes) -> tuple[dict[str, Any], str | None, bytes]:
    """Return what :func:`split` does, for the body of an event in structured mode."""
    fields, content_type, data = _parts(_load(body))
    if data is None:
        return fields, content_type, b""
    return fields, content_type, data if isinstance(data, bytes) else orjson.dumps(data[0])


def _load(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise MalformedBodyError(f"CloudEvent: the body is not JSON: {error}") from error


def _read_document(document: Any) -> dict[str, Any]:
    fields, content_type, data = _parts(document)
    fields["datacontenttype"] = content_type
    fields["data"] = data[0] if isinstance(data, tuple) else _decode_data(content_type, data or b"")
    return fields


def _parts(document: Any) -> tuple[dict[str, Any], str | None, bytes | tuple[Any] | None]:
    """Return the attributes, the content type and the data of a structured event: bytes, or a JSON value in a tuple."""
    if not isinstance(document, dict):
        raise MalformedBodyError("CloudEvent: structured mode is one JSON object")
    if "data" in document and document.get("data_base64") is not None:
        raise MalformedBodyError("CloudEvent: data and data_base64 exclude each other", attribute="data_base64")
    data = document.pop("data", None)
    encoded = document.pop("data_base64", None)
    content_type = document.pop("datacontenttype", None)
    if content_type is not None and (not isinstance(content_type, str) or not content_type):
        raise MalformedBodyError("CloudEvent: datacontenttype must be text", attribute="datacontenttype")
    fields = fields_of({name: value for name, value in document.items() if value is not None})
    if encoded is not None:
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise MalformedBodyError(
                f"CloudEvent: data_base64 is not base64: {error}", attribute="data_base64"
            ) from error
        return fields, content_type or "application/octet-stream", raw
    if data is None:
        return fields, content_type, None
    if content_type is None or codec_name(content_type) == JSON:
        return fields, content_type or JSON, (data,)
    if isinstance(data, str):
        return fields, content_type, data.encode()
    return fields, content_type, orjson.dumps(data)


def fields_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an event but its data, from its attributes by name; takes them out of ``found``.

    Raises:
        MalformedBodyError: one is missing or not of its form; the message names it.
    """
    version = found.pop("specversion", None)
    if version != SPEC_VERSION:
        given = "missing" if version is None else f"{str(version)[:40]!r}"
        raise MalformedBodyError(f"CloudEvent: specversion must be 1.0, and is {given}", attribute="specversion")
    fields: dict[str, Any] = {}
    for name in _REQUIRED:
        if name not in found:
            raise MalformedBodyError(f"CloudEvent: {name} is missing", attribute=name)
        fields[name] = found.pop(name)
    for name in _OPTIONAL:
        fields[name] = found.pop(name, None)
    if fields["time"] is not None:
        fields["time"] = _read_time(fields["time"])
    return {**fields, "extensions": found}


def write_binary(
    attributes: Mapping[str, str | int | bool], content_type: str | None, data: Any
) -> tuple[dict[str, str], bytes]:
    """Return headers and body in binary mode."""
    headers = {_PREFIX + name: _quote(_text(value)) for name, value in attributes.items()}
    if content_type is not None:
        headers["content-type"] = content_type
    return headers, _encode_data(content_type, data)


def write_structured(
    attributes: Mapping[str, str | int | bool], content_type: str | None, data: Any
) -> tuple[dict[str, str], bytes]:
    """Return headers and body in structured mode."""
    document: dict[str, Any] = dict(attributes)
    if content_type is not None:
        document["datacontenttype"] = content_type
    if data is not None:
        codec = codec_name(content_type or "")
        if not isinstance(data, bytes) and (codec == JSON or (codec is None and isinstance(data, str))):
            document["data"] = data
        else:
            document["data_base64"] = base64.b64encode(_encode_data(content_type, data)).decode("ascii")
    return {"content-type": STRUCTURED}, encode_json(document)


def _read_time(text: Any) -> datetime.datetime:
    try:
        if not isinstance(text, str) or not _RFC3339.fullmatch(text):
            raise ValueError("not of the form 2026-01-31T12:00:00Z")
        return datetime.datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise MalformedBodyError(f"CloudEvent: time: {error}", attribute="time") from error


def _decode_data(content_type: str | None, raw: bytes) -> Any:
    if content_type is None or not raw:
        return None
    if codec_name(content_type) is not None:
        return decode(raw, content_type)
    if essence(content_type).startswith("text/"):
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise MalformedBodyError(f"CloudEvent: the data is not UTF-8: {error}", attribute="data") from error
    return raw


def _encode_data(content_type: str | None, data: Any) -> bytes:
    if data is None:
        return b""
    if isinstance(data, bytes):
        return data
    if codec_name(content_type or "") is not None:
        return encode(data, content_type or JSON)
    if isinstance(data, str):
        return data.encode()
    raise InvalidPayloadError(
        f"CloudEvent: data of type {type(data).__name__} has no form in {content_type}: give bytes or text"
    )


def _text(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _quote(text: str) -> str:
    from urllib.parse import quote  # with a dozen modules: few calls are events

    return quote(text, safe=_PLAIN)


def _unquote(name: str, value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        from urllib.parse import unquote

        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedBodyError(
            f"CloudEvent: {name} is not UTF-8 once its percent signs are resolved", attribute=name[len(_PREFIX) :]
        ) from error
