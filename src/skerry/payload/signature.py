"""How a handler's arguments and result travel, compiled once per handler into closures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, cast

import orjson

from skerry.errors import HandlerError, InvalidPayloadError, MalformedBodyError, SkerryError
from skerry.payload import event_http
from skerry.payload.codec import decode_json, decode_msgpack, encode_json, encode_msgpack
from skerry.payload.event import Event
from skerry.payload.hints import Parameter, find_call, is_plain, read_handler, takes_event, takes_events, without_event
from skerry.payload.media import JSON, MSGPACK, OCTETS, require_codec
from skerry.payload.quick import QuickSchema, is_worth_it, object_reader, value_reader
from skerry.payload.shape import Shape, read_shape

if TYPE_CHECKING:
    from skerry.payload.schema import Schema

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

TIMER_TYPES = frozenset({"dev.skerry.timer", "dev.knative.sources.ping"})  # of events that a clock makes

_EVENT_SCHEMA = {
    "title": "CloudEvent",
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("specversion", "id", "source", "type")},
    "required": ["specversion", "id", "source", "type"],
}


class Signature:
    """The wire form of a handler: made by :meth:`of`.

    A handler with one parameter gets the whole body as its value; one with several gets an object's members by name;
    one with none ignores the body. A parameter with a default may be left out (for one parameter: an empty body). An
    ``application/octet-stream`` is itself the value of one that is annotated ``bytes``, or takes anything. A parameter
    annotated `Event` gets the CloudEvent; other handlers get a CloudEvent's data, but nothing of a timer's where all
    parameters have defaults. Of a batch of CloudEvents they get the list. Results are checked where the annotation is a
    model, a dataclass or the like; those annotated with built-in types are written as they are.

    Of a handler that takes `Items`, and of a generator, "the result" is one item, and "the arguments" are one caller's.

    Attributes:
        parameters: Names of the parameters.
        streams: Whether the handler's results are sent item by item.
        takes_items: Whether one call of the handler answers several callers: it gets `Items` of their arguments.
        requires_any: Whether a parameter has no default.
        sends_bytes: Whether the result is annotated ``bytes``, so that a stream of it needs no codec.
        takes_event: Whether the one parameter is an `Event`.
        takes_events: Whether the one parameter is a list of `Event`.
        returns_event: Whether the result may be an `Event` (annotated so, or not annotated); then only
            :meth:`encode_result` gives it its headers.
        decode_json: JSON body to arguments.
        decode_msgpack: MessagePack body to arguments.
        encode_json: Result to JSON body. An `Event` is written in structured mode.
        encode_msgpack: Result to MessagePack body.
        read_argument: JSON body to the value of the only argument, for handlers that take one by position; it raises
            whatever its library raises, and :meth:`decode_json` says then what is wrong. None for other handlers.
        writes_plain: Whether :meth:`encode_json` does no more than :func:`skerry.payload.codec.encode_json`.

    The first four functions take one argument and look at nothing but it; they raise as :meth:`decode_call` and
    :meth:`encode_result`.
    """

    def __init__(self, shape: Shape, native: inspect.Signature, name: str) -> None:
        parameters, result, self.streams, self.takes_items = shape
        self.parameters = tuple(p.name for p in parameters)
        self.takes_event = len(parameters) == 1 and takes_event(parameters[0].hint)
        self.takes_events = len(parameters) == 1 and takes_events(parameters[0].hint)
        self._native = native
        self.requires_any = any(p.required for p in parameters)
        self._takes_one = len(parameters) == 1 and not parameters[0].by_keyword  # the commonest call is bound at once
        self._takes_octets = len(parameters) == 1 and parameters[0].hint in (bytes, Any, object)
        self._input = _input_schema(parameters, name)
        self.decode_json, self.decode_msgpack = self._decoders(parameters)
        rest, self.returns_event = without_event(result)
        self._result_hint, self._name = rest, name
        self.sends_bytes = rest is bytes
        self.writes_plain = is_plain(rest)
        self.encode_json, self.encode_msgpack = self._encoders()
        self.read_argument = self._argument_reader(parameters)
        if self.takes_items and not self.writes_plain and self._result is not None:
            _ = self._result.write_list  # compiled now, and not while the first callers wait

    @cached_property
    def _result(self) -> Schema | None:
        # Not made for what is written as it is: only clients, and who asks for the schema, need it then.
        if self._result_hint is Any or self._result_hint is object:
            return None
        from skerry.payload.schema import Schema

        return Schema(self._result_hint, label="result", where=f"{self._name}: result")

    @classmethod
    def of(cls, handler: Any) -> Signature:
        """Return the signature of a plain or async function, or of a class with ``__call__``.

        A handler whose calls travel in a form of their own has a function ``__skerry_signature__``, which returns it.

        Raises:
            SpecError: an annotation has no wire form, or no body can fill a parameter; the message names it.
        """
        own: Callable[[], Signature] | None = getattr(handler, "__skerry_signature__", None)
        if own is not None:
            return own()
        parameters, result, native = read_handler(handler)
        name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
        call, _ = find_call(handler, name)
        return cls(read_shape(call, parameters, result, name), native, name)

    def decode_call(self, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Arguments:
        """Return the arguments that a request's body stands for.

        Args:
            body: The whole body.
            content_type: What it is; empty means JSON.
            headers: With names in lower case; needed for CloudEvents in binary mode.

        Raises:
            MalformedBodyError: the body is not what its content type says.
            InvalidPayloadError: it does not fit the annotations; ``details["errors"]`` lists the fields.
            UnsupportedMediaTypeError: no codec reads this content type.
        """
        headers = {"content-type": content_type, **(headers or {})}
        if event_http.is_event(headers):
            if self.takes_events:
                is_batch = event_http.is_batch(headers)
                return self._place(Event.from_batch(body) if is_batch else [Event.from_http(headers, body)])
            if event_http.is_batch(headers):
                data = [fields["data"] for fields in event_http.read_batch(body)]
                return self.decode_json(encode_json(data)) if self.parameters else ((), {})
            if self.takes_event:
                return self._place(Event.from_http(headers, body))
            fields, data_type, body = event_http.split(headers, body)
            if fields["type"] in TIMER_TYPES and not self.requires_any:
                return (), {}
            content_type = data_type or JSON
        if not self.parameters:
            return (), {}
        codec = require_codec(content_type, or_octets=self._takes_octets)
        read = {JSON: self.decode_json, MSGPACK: self.decode_msgpack, OCTETS: self._place}[codec]
        return read(body)

    def encode_result(self, value: Any, content_type: str = JSON) -> tuple[bytes, str, dict[str, str]]:
        """Return the body, the content type and further headers of a result.

        Args:
            value: What the handler returned. An `Event` goes out in binary mode, in its own content type.
            content_type: The content type that the caller wants.

        Raises:
            HandlerError: the value has no wire form, or is not what the annotation says.
            UnsupportedMediaTypeError: no codec writes this content type.
        """
        if self.returns_event and isinstance(value, Event):
            try:
                headers, body = value.to_binary()
            except SkerryError as error:
                raise _bad_result(error) from error
            return body, headers.pop("content-type", ""), headers
        codec = require_codec(content_type)
        return (self.encode_json(value) if codec == JSON else self.encode_msgpack(value)), codec, {}

    def encode_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], content_type: str = JSON) -> bytes:
        """Return the body that stands for arguments: what a client sends.

        An `Event` parameter is written in structured mode, which :meth:`decode_call` reads as ``application/json`` too.

        Raises:
            InvalidPayloadError: the arguments are not those of the handler.
            UnsupportedMediaTypeError: no codec writes this content type.
        """
        json = require_codec(content_type) == JSON
        if self._takes_one and len(args) == 1 and not kwargs:
            given: Mapping[str, Any] = {self.parameters[0]: args[0]}
        else:
            given = self._bind(args, kwargs)
        if not given:
            # No argument at all, or only defaults: for one parameter that is the empty body.
            return b"" if len(self.parameters) < 2 else (b"{}" if json else b"\x80")
        value = given[self.parameters[0]] if len(self.parameters) == 1 else given
        if self.takes_event:
            return _write_structured(value)
        if self.takes_events:
            return event_http.write_batch(_write_structured(event) for event in value)
        if self._input is None:
            return encode_json(value) if json else encode_msgpack(value)
        schema = self._input.schema if isinstance(self._input, QuickSchema) else self._input
        return schema.write_json(value) if json else schema.write_msgpack(value)

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._native.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidPayloadError(f"wrong arguments: {error}; there are: ({', '.join(self.parameters)})") from error

    def decode_result(self, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return the value of a result's body, as the result's annotation types it.

        Args:
            body: The whole body.
            content_type: What it is; empty means JSON.
            headers: With names in lower case; needed for a result that is an `Event`.

        Raises:
            MalformedBodyError: the body is not what its content type says.
            InvalidPayloadError: it does not fit the annotation.
            UnsupportedMediaTypeError: no codec reads this content type.
        """
        headers = {"content-type": content_type, **(headers or {})}
        if event_http.is_event(headers):
            return Event.from_http(headers, body)
        json = require_codec(content_type) == JSON
        if self._result is None:
            return decode_json(body) if json else decode_msgpack(body)
        return self._result.read_json(body) if json else self._result.read_msgpack(body)

    def encode_results(self, values: Sequence[Any]) -> list[bytes]:
        """Return the JSON bodies of several results, as :meth:`encode_json` writes each; cheaper than one by one.

        Args:
            values: Results, none of them an `Event`.

        Raises:
            Exception: one of them, at least, cannot be written; ask :meth:`encode_json` for each.
        """
        if self.writes_plain or self._result is None:
            return [encode_json(value) for value in values]
        return self._result.write_each_json(values)

    def read_item(self, value: Any) -> Any:
        """Return a decoded item of a stream, as the result's annotation types it.

        Raises:
            InvalidPayloadError: it does not fit the annotation.
        """
        return value if self._result is None else self._result.convert(value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schemas of the body and of the result, as ``{"input": ..., "output": ...}``.

        Of a generator, ``output`` is one item, and there is ``{"streams": True}`` besides. A side that may be anything,
        or that JSON schema has no word for, is the empty schema.
        """
        schema = self._input.schema if isinstance(self._input, QuickSchema) else self._input
        given = {} if schema is None else schema.json_schema("validation")
        result = {} if self._result is None else self._result.json_schema("serialization")
        if self.returns_event and self._result is not None:
            result = {"anyOf": [_EVENT_SCHEMA, result]}
        given = dict(_EVENT_SCHEMA) if self.takes_event else given
        given = {"type": "array", "items": _EVENT_SCHEMA} if self.takes_events else given
        sides = {"input": given, "output": result}
        return {**sides, "streams": True} if self.streams else sides

    def _decoders(
        self, parameters: tuple[Parameter, ...]
    ) -> tuple[Callable[[bytes], Arguments], Callable[[bytes], Arguments]]:
        if not parameters:
            return _ignore_body, _ignore_body
        if len(parameters) > 1 and self._input is not None:
            empty_allowed = not any(p.required for p in parameters)
            return (
                _by_name(self._input.read_json, empty_allowed=empty_allowed),
                _by_name(self._input.read_msgpack, empty_allowed=empty_allowed),
            )
        only = parameters[0]
        if self.takes_events:
            return self._placed(Event.from_batch, only), self._placed(_refuse_msgpack_event, only)
        if self.takes_event:
            return self._placed(_read_structured, only), self._placed(_refuse_msgpack_event, only)
        json, msgpack = decode_json, decode_msgpack
        if self._input is not None:
            json, msgpack = self._input.read_json, self._input.read_msgpack
        return self._placed(_filled(json, only.name), only), self._placed(_filled(msgpack, only.name), only)

    def _placed(self, read: Callable[[bytes], Any], only: Parameter) -> Callable[[bytes], Arguments]:
        name = only.name
        if only.by_keyword:
            return lambda body: ((), {name: read(body)} if body or only.required else {})
        if only.required:
            return lambda body: ((read(body),), {})
        return lambda body: ((read(body),) if body else (), {})

    def _place(self, value: Any) -> Arguments:
        parameter = self._native.parameters[self.parameters[0]]
        return ((), {parameter.name: value}) if parameter.kind is parameter.KEYWORD_ONLY else ((value,), {})

    def _argument_reader(self, parameters: tuple[Parameter, ...]) -> Callable[[bytes], Any] | None:
        if len(parameters) != 1 or not parameters[0].required or parameters[0].by_keyword:
            return None
        if self.takes_events:
            return None
        if self.takes_event:
            return _read_structured
        return orjson.loads if self._input is None else self._input.validate_json

    def _encoders(self) -> tuple[Callable[[Any], bytes], Callable[[Any], bytes]]:
        if self.writes_plain or self._result is None:
            write_json, write_msgpack = encode_json, encode_msgpack
        else:
            write_json, write_msgpack = self._result.write_json, self._result.write_msgpack
        make = _result_or_event_writer if self.returns_event else _result_writer
        return make(write_json), make(write_msgpack)


def _input_schema(parameters: tuple[Parameter, ...], name: str) -> Schema | QuickSchema | None:
    if len(parameters) == 1 and (takes_event(parameters[0].hint) or takes_events(parameters[0].hint)):
        return None
    if is_worth_it() and parameters and (reader := _quick_reader(parameters)) is not None:
        return QuickSchema(reader, lambda: cast("Schema", _full_schema(parameters, name)))
    return _full_schema(parameters, name)


def _quick_reader(parameters: tuple[Parameter, ...]) -> Callable[[Any], Any] | None:
    return value_reader(parameters[0].hint) if len(parameters) == 1 else object_reader(parameters)


def _full_schema(parameters: tuple[Parameter, ...], name: str) -> Schema | None:
    # Each parameter is compiled on its own first, so that an error names the parameter and not the set of them.
    checked = [p for p in parameters if p.hint is not Any and p.hint is not object]
    if not checked and len(parameters) < 2:
        return None
    from skerry.payload.schema import Schema, object_hint

    alone = len(parameters) == 1
    found = [Schema(p.hint, label=p.name, where=f"{name}: parameter {p.name}", alone=alone) for p in checked]
    if len(parameters) > 1:
        return Schema(object_hint(parameters), label="", where=f"{name}: parameters")
    return found[-1]


def _filled(read: Callable[[bytes], Any], name: str) -> Callable[[bytes], Any]:
    """Return what reads a body, and says of an empty one what is missing."""
    return lambda body: read(body or _refuse_empty(name))


def _refuse_empty(name: str) -> NoReturn:
    raise MalformedBodyError(f"the body is empty: send the value of {name!r}")


def _ignore_body(body: bytes) -> Arguments:
    return (), {}


def _by_name(read: Callable[[bytes], dict[str, Any]], *, empty_allowed: bool) -> Callable[[bytes], Arguments]:
    if empty_allowed:
        return lambda body: ((), read(body) if body else {})
    return lambda body: ((), read(body))


def _result_writer(write: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def write_result(value: Any) -> bytes:
        try:
            return write(value)
        except SkerryError as error:
            raise _bad_result(error) from error

    return write_result


def _result_or_event_writer(write: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def write_result(value: Any) -> bytes:
        try:
            return write(value) if not isinstance(value, Event) else _write_structured(value)
        except SkerryError as error:
            raise _bad_result(error) from error

    return write_result


def _bad_result(error: SkerryError) -> HandlerError:
    return HandlerError(f"the handler's result cannot be sent: {error.message}", **error.details)


def _write_structured(value: Any) -> bytes:
    if not isinstance(value, Event):
        raise InvalidPayloadError(f"expected an Event, got {type(value).__name__}")
    return value.to_structured()[1]


def _read_structured(body: bytes) -> Event:
    if not body:
        raise MalformedBodyError(
            "this function takes a CloudEvent: send the ce- headers (binary mode) or "
            f"{event_http.STRUCTURED} (structured mode)"
        )
    return Event.from_http({"content-type": event_http.STRUCTURED}, body)


def _refuse_msgpack_event(body: bytes) -> Any:
    raise MalformedBodyError(f"a CloudEvent in structured mode is JSON: send {event_http.STRUCTURED}, not {MSGPACK}")
