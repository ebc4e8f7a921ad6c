"""How calls of a model's function travel: plain values, KServe's protocol v1, the Open Inference Protocol v2."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from skerry.errors import HandlerError, MalformedBodyError, UnsupportedMediaTypeError
from skerry.payload import JSON, Signature, decode
from skerry.payload.hints import Parameter
from skerry.payload.inference import (
    BINARY,
    LENGTH_HEADER,
    InferenceResponse,
    decode_request,
    encode_response,
    header_length,
)
from skerry.payload.media import codec_name
from skerry.payload.shape import Shape
from skerry.serve.calls import Answer, PlainCall, PredictCall, TensorCall

PROTOCOL_HEADER = "skerry-protocol"
Arguments = tuple[tuple[Any, ...], dict[str, Any]]

_REQUEST = Parameter(name="request", hint=Any, required=True, by_keyword=False)
_NATIVE = inspect.Signature([inspect.Parameter("request", inspect.Parameter.POSITIONAL_ONLY)])
_ROWS: dict[str, Any] = {"type": "array", "items": {}}
_INPUT_SCHEMA = {
    "title": "Rows",
    "anyOf": [_ROWS, {"type": "object", "properties": {"inputs": {}}, "required": ["inputs"]}],
}
_OUTPUT_SCHEMA = {
    "title": "Prediction",
    "type": "object",
    "properties": {"labels": _ROWS, "probabilities": _ROWS, "outputs": {"type": "object"}, "model": {"type": "string"}},
    "required": ["model"],
}


class ModelSignature(Signature):
    """The wire form of a model's function: its handler takes `Items` of calls and returns answers.

    Args:
        before: The function that makes inputs of a plain call's arguments; it gives those their form.
        after: The function that makes a plain call's result of the outputs; it gives that its form.
        name: The function's, for messages.
    """

    def __init__(self, *, before: Callable[..., Any] | None, after: Callable[..., Any] | None, name: str) -> None:
        super().__init__(Shape((_REQUEST,), Any, takes_items=True), _NATIVE, name)
        self._before = None if before is None else Signature.of(before)
        self._after = None if after is None else Signature.of(after)
        self.read_argument = None  # which protocol a body speaks is said beside it
        self.returns_event = False
        self.writes_plain = False
        self._takes_octets = False
        if self._before is not None:
            self.parameters, self.takes_event = self._before.parameters, self._before.takes_event

    def decode_call(self, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Arguments:
        """Return the call that a request's body stands for; see :meth:`Signature.decode_call`."""
        headers = headers or {}
        protocol = headers.get(PROTOCOL_HEADER, "")
        if protocol == "v2":
            return (_tensor_call(body, content_type, headers),), {}
        if protocol == "v1":
            return (_predict_call(body, content_type),), {}
        if self._before is not None:
            args, kwargs = self._before.decode_call(body, content_type, headers)
        else:
            args, kwargs = super().decode_call(body, content_type, headers)
        return (PlainCall(args=args, kwargs=kwargs),), {}

    def encode_result(self, value: Any, content_type: str = JSON) -> tuple[bytes, str, dict[str, str]]:
        """Return the body, the content type and further headers of an answer; see :meth:`Signature.encode_result`."""
        if not isinstance(value, Answer):
            raise HandlerError(f"a model's function answers with an Answer, not with {type(value).__name__}")
        if isinstance(value.value, InferenceResponse):
            body, kind, headers = encode_response(value.value)
        elif value.is_typed and self._after is not None:
            body, kind, headers = self._after.encode_result(value.value, content_type)
        else:
            body, kind, headers = super().encode_result(value.value, content_type)
        return body, kind, {**headers, **value.headers}

    def encode_results(self, values: Sequence[Any]) -> list[bytes]:
        """Return the JSON bodies of answers that need no headers; see :meth:`Signature.encode_results`."""
        bodies = []
        for value in values:
            body, kind, headers = self.encode_result(value)
            if headers or kind != JSON:
                raise ValueError("an answer with headers of its own")
            bodies.append(body)
        return bodies

    def encode_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], content_type: str = JSON) -> bytes:
        """Return the body that stands for a plain call's arguments; see :meth:`Signature.encode_call`."""
        if self._before is not None:
            return self._before.encode_call(args, kwargs, content_type)
        return super().encode_call(args, kwargs, content_type)

    def decode_result(self, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return the value of a plain call's result; see :meth:`Signature.decode_result`."""
        if self._after is not None:
            return self._after.decode_result(body, content_type, headers)
        return super().decode_result(body, content_type, headers)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schemas of a plain call's body and result; see :meth:`Signature.schema`."""
        given = _INPUT_SCHEMA if self._before is None else self._before.schema()["input"]
        result = _OUTPUT_SCHEMA if self._after is None else self._after.schema()["output"]
        return {"input": given, "output": result}


def _tensor_call(body: bytes, content_type: str, headers: Mapping[str, str]) -> TensorCall:
    length = headers.get(LENGTH_HEADER)
    if length is None and codec_name(content_type) != JSON:
        raise UnsupportedMediaTypeError(
            f"cannot read {content_type[:100]!r}: send {JSON}, or {BINARY} with the header "
            "Inference-Header-Content-Length, which says where the JSON ends"
        )
    return TensorCall(request=decode_request(body, header_length(length, body)))


def _predict_call(body: bytes, content_type: str) -> PredictCall:
    value = decode(body, content_type)
    if not isinstance(value, dict) or ("instances" in value) == ("inputs" in value):
        raise MalformedBodyError('send {"instances": [...]} or {"inputs": {NAME: rows, ...}}')
    if "instances" in value:
        return PredictCall(instances=value["instances"])
    return PredictCall(inputs=value["inputs"])
