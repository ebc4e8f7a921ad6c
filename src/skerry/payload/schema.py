"""A pydantic schema for a parameter, a set of parameters or a result, and what its refusals say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, NoReturn, NotRequired, cast

import orjson
from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import JsonSchemaMode
from pydantic_core import SchemaError
from typing_extensions import TypedDict  # pydantic refuses the one of typing before Python 3.12

from skerry.errors import InvalidPayloadError, MalformedBodyError, SpecError, UserError
from skerry.payload.codec import ENCODE_ERRORS, decode_msgpack, encode_msgpack, refuse_value
from skerry.payload.hints import Parameter
from skerry.payload.plain import refuse_non_finite

NO_OBJECT = frozenset({"dict_type", "dataclass_type", "model_type", "model_attributes_type"})  # pydantic's names
MAX_REPORTED_ERRORS = 20

# Text cannot hold every byte: in JSON, bytes travel as base64. A model's fields follow the model's own configuration.
_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Schema:
    """What may stand for an annotation, compiled once.

    Args:
        hint: The annotation.
        label: How messages call the value: a parameter's name, or ``result``; empty when fields name themselves.
        where: What the annotation belongs to, for the message.
        alone: Whether it is the only parameter's: a body is its value, and does not name it.

    Attributes:
        validate: Decoded value to value.

    Raises:
        SpecError: pydantic knows no schema for the annotation.
    """

    def __init__(self, hint: Any, *, label: str, where: str, alone: bool = False) -> None:
        self.label = label
        self._alone = alone
        self._adapter, self._configured = _build_adapter(hint, where=where)
        self._serializer = self._adapter.serializer
        # Instances of a pydantic class were checked when they were made. Asking pydantic to report what does not fit
        # takes four times as long as writing a small value, so it is asked only for other values.
        self._checked_class = hint if isinstance(hint, type) and _checks_itself(hint) else None
        self._hint = hint
        self._members = tuple(getattr(hint, "__annotations__", ()))  # of a typed dictionary, dataclass or model
        self._validate_json: Callable[[bytes], Any] = self._adapter.validator.validate_json
        self.validate: Callable[[Any], Any] = self._adapter.validator.validate_python

    def validate_json(self, body: bytes) -> Any:
        """Return the value of a JSON body, in one pass; raises as pydantic does, and for NaN and the infinities."""
        # pydantic reads these as numbers. No number has an N or an I, so most bodies are looked at for one byte each.
        if (78 in body or 73 in body) and (b"NaN" in body or b"Infinity" in body):
            _refuse_constants(body)
        return self._validate_json(body)

    def read_json(self, body: bytes) -> Any:
        """Return the value of a JSON body."""
        try:
            return self.validate_json(body)
        except ValidationError as error:
            raise self._refusal(error, lambda: orjson.loads(body)) from error

    def read_msgpack(self, body: bytes) -> Any:
        """Return the value of a MessagePack body."""
        return self.convert(decode_msgpack(body))

    def convert(self, value: Any) -> Any:
        """Return a decoded value as the annotation types it.

        Raises:
            InvalidPayloadError: it does not fit.
        """
        try:
            return self.validate(value)
        except ValidationError as error:
            raise self._refusal(error, lambda: value) from error

    @cached_property
    def write_list(self) -> Callable[[list[Any]], Any]:
        """Values to plain values that JSON has words for, all in one call of the serializer."""
        config = _CONFIG if self._configured else None
        serializer = TypeAdapter(list[self._hint], config=config).serializer  # type: ignore[name-defined]  # made at run time
        return partial(serializer.to_python, mode="json", warnings="error")

    def write_each_json(self, values: Sequence[Any]) -> list[bytes]:
        """Return the JSON of each of several values; a tenth of the cost of writing them one by one.

        Raises:
            Exception: one of them, at least, needs the care of :meth:`write_json`.
        """
        bodies = [orjson.dumps(plain) for plain in self.write_list(list(values))]
        for at, body in enumerate(bodies):
            if body.find(b"null") >= 0:  # of None, NaN and the infinities only the first is meant to be written so
                bodies[at] = self.write_json(values[at])
        return bodies

    def write_json(self, value: Any) -> bytes:
        """Return a value as JSON.

        Raises:
            InvalidPayloadError: the value is not what the annotation says, or has no form in JSON.
        """
        return self._write(value, self._dump_json, "JSON")

    def write_msgpack(self, value: Any) -> bytes:
        """Return a value as MessagePack; raises as :meth:`write_json` does."""
        return self._write(value, self._dump_msgpack, "MessagePack")

    def json_schema(self, mode: JsonSchemaMode) -> dict[str, Any]:
        """Return the JSON schema; an empty one, which allows anything, where JSON schema has no word for the type."""
        try:
            return self._adapter.json_schema(mode=mode)
        except PydanticInvalidForJsonSchema:
            return {}

    def _refusal(self, error: ValidationError, read: Callable[[], Any]) -> UserError:
        """Return what the caller is told, and whether the body names the parameter, whose value it should be."""
        told = refusal(error, self.label, self._members)
        if self._alone and self.label not in self._members and isinstance(told, InvalidPayloadError):
            try:
                names_it = _is_only_key(self.label, read())
            except ValueError:  # orjson refuses more than pydantic does, such as NaN
                names_it = False
            if names_it:
                said = f"{told.message}; the body is the value of {self.label!r} itself: leave the name out"
                return InvalidPayloadError(said, **told.details)
        return told

    def _write(self, value: Any, dump: Callable[[Any], bytes], form: str) -> bytes:
        try:
            # pydantic writes None for any annotation without a warning, so None is checked below.
            if value is not None:
                return dump(value)
        except ENCODE_ERRORS:
            pass
        # A value close to what the annotation says is converted: np.int64 for int, a dict for a dataclass. Going
        # through MessagePack turns it into plain values and arrays, whatever it is made of.
        try:
            fitting = self.validate(decode_msgpack(encode_msgpack(value)))
            return dump(fitting)
        except ValidationError as error:
            raise refusal(error, self.label, self._members) from error
        except (MalformedBodyError, *ENCODE_ERRORS) as error:
            refuse_value(value, error, form)

    def _dump_json(self, value: Any) -> bytes:
        checked = type(value) is self._checked_class
        body = self._serializer.to_json(value, warnings="error" if not checked else False)
        if body.find(b"null") >= 0:
            refuse_non_finite(self._serializer.to_python(value))
        return body

    def _dump_msgpack(self, value: Any) -> bytes:
        checked = type(value) is self._checked_class
        return encode_msgpack(self._serializer.to_python(value, warnings="error" if not checked else False))


def object_hint(parameters: Sequence[Parameter]) -> Any:
    """Return the annotation of an object that fills several parameters by name, and nothing else."""
    members = {p.name: p.hint if p.required else NotRequired[p.hint] for p in parameters}
    hint = cast(Any, TypedDict)("Parameters", members)
    hint.__pydantic_config__ = ConfigDict(extra="forbid", **_CONFIG)
    return hint


def refusal(error: ValidationError, label: str, members: Sequence[str] = ()) -> UserError:
    """Return what the caller is told of a value that does not fit.

    Args:
        error: What pydantic found.
        label: Name to put before the path of each field; may be empty.
        members: Of the object that the value should be, for one that is none.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid" and not found[0]["loc"]:
        return MalformedBodyError(f"the body is not JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}")
    errors = [
        {"field": ".".join([label] * bool(label) + [str(part) for part in item["loc"]]), "message": item["msg"]}
        for item in found[:MAX_REPORTED_ERRORS]
    ]
    first = errors[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    if members and not found[0]["loc"] and found[0]["type"] in NO_OBJECT:
        more += f"; its members: {', '.join(members)}"
    message = f"{first['field'] or 'the body'}: {first['message']}{more}"
    return InvalidPayloadError(message, errors=errors)


def _is_only_key(name: str, value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {name}


def _refuse_constants(body: bytes) -> None:
    """Refuse NaN and the infinities outside of texts; what else is wrong with the body is left to who reads it."""
    try:
        json.loads(body.decode(), parse_constant=_refuse_constant, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBodyError(
        f"the body is not JSON: it has no number {name}: send null for what is missing, or use MessagePack or an array"
    )


def _checks_itself(cls: type[Any]) -> bool:
    return issubclass(cls, BaseModel) or is_pydantic_dataclass(cls)


def _build_adapter(hint: Any, *, where: str) -> tuple[TypeAdapter[Any], bool]:
    # Whether the configuration was taken comes back too: what is built around the annotation must agree with it.
    configured = True
    try:
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(hint, config=_CONFIG)
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":  # models, dataclasses and typed dictionaries bring their own
                raise
            adapter, configured = TypeAdapter(hint), False
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
        return adapter, configured
    except (PydanticUserError, SchemaError, NameError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise SpecError(
            f"{where}: {hint!r:.120} cannot be checked: {reason} Use plain types, dataclasses or pydantic models; "
            "for arrays Annotated[np.ndarray, Tensor(dtype, shape)]",
            field=where,
        ) from error
