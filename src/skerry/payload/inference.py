"""The Open Inference Protocol v2 (KServe, Triton): bodies to named arrays and back, as JSON or with binary tensors.

A body with binary tensors begins with JSON, whose length the header ``Inference-Header-Content-Length`` says; the bytes
of the tensors stand behind it, in the order in which the JSON names them, each as long as its
``parameters.binary_data_size``.

Arrays of BYTES hold ``bytes`` objects. Arrays that were sent as binary data are views of the body: read-only, and not
always aligned.

Source: https://github.com/kserve/open-inference-protocol and Triton's extension "binary tensor data".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from skerry.errors import InvalidPayloadError, MalformedBodyError
from skerry.payload.datatype import (
    array_of,
    check_datatype,
    check_shape,
    datatype_of,
    flatten,
    shaped,
    to_bytes,
    to_json,
    view_bytes,
)
from skerry.payload.media import JSON

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LENGTH_HEADER = "inference-header-content-length"
BINARY = "application/octet-stream"
MAX_TENSORS = 1024
MAX_NAME = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputWish:
    """An output that a caller asks for.

    Args:
        name: The output's.
        binary: Whether its elements are wanted as binary data.
        classes: How many of the best classes are wanted in its place, 0 for the output itself.
    """

    name: str
    binary: bool = False
    classes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest:
    """What a caller sends to a model.

    Args:
        inputs: Arrays by name.
        outputs: The outputs that are wanted, none for all of them.
        binary: Whether outputs of which nothing else is said are wanted as binary data.
        id: The caller's name for the request, given back in the answer.
    """

    inputs: Mapping[str, Array]
    outputs: tuple[OutputWish, ...] | None = None
    binary: bool = False
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceResponse:
    """What a model answers.

    Args:
        model_name: The model's name.
        model_version: Its version.
        outputs: Arrays by name, in the order in which they are sent.
        binary: Names of the outputs that go out as binary data.
        id: The request's.
    """

    model_name: str
    model_version: str
    outputs: Mapping[str, Array]
    binary: frozenset[str] = frozenset()
    id: str | None = None


def header_length(text: str | None, body: bytes) -> int:
    """Return how many bytes of a body are JSON.

    Args:
        text: The value of ``Inference-Header-Content-Length``, none without: then all of them are.
        body: The whole body.

    Raises:
        MalformedBodyError: the value is no whole number, or larger than the body.
    """
    if text is None:
        return len(body)
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise MalformedBodyError(f"Inference-Header-Content-Length: {text[:40]!r} is not a whole number")
    if not 0 < int(text) <= len(body):
        raise MalformedBodyError(
            f"Inference-Header-Content-Length: {int(text)} is not from 1 to the {len(body)} bytes of the body"
        )
    return int(text)


def decode_request(
    body: bytes, header_bytes: int | None = None, *, load: Callable[[bytes], Any] = orjson.loads
) -> InferenceRequest:
    """Return the request of a body.

    Args:
        body: The whole body.
        header_bytes: How many bytes of it are JSON, none for all; at most as many as there are.
        load: Reads the JSON and raises `ValueError` where it is none.

    Raises:
        MalformedBodyError: the body is not of the protocol's form.
        InvalidPayloadError: a tensor's data do not fit the shape or the datatype that it declares.
    """
    length = len(body) if header_bytes is None else header_bytes
    head = _members(_load(body[:length], load), "the body")
    tensors = head.get("inputs")
    if not isinstance(tensors, list) or not tensors:
        raise MalformedBodyError("inputs: send a list with the tensors of the request")
    if len(tensors) > MAX_TENSORS:
        raise MalformedBodyError(f"inputs: more than {MAX_TENSORS} tensors")
    inputs: dict[str, Array] = {}
    at = length
    for number, entry in enumerate(tensors):
        name = _name(entry, f"inputs[{number}]")
        if name in inputs:
            raise MalformedBodyError(f"input {name!r} is there twice")
        try:
            inputs[name], at = _read_tensor(entry, body, at, where=f"input {name!r}")
        except InvalidPayloadError as error:
            error.details["field"] = name
            raise
    if at != len(body):
        raise MalformedBodyError(f"{len(body) - at} bytes behind the last tensor belong to none")
    binary = _flag(_parameters(head, "the body"), "binary_data_output", "the body") or False
    return InferenceRequest(inputs=inputs, outputs=_wishes(head, default=binary), binary=binary, id=_id(head))


def encode_response(response: InferenceResponse) -> tuple[bytes, str, dict[str, str]]:
    """Return the body, the content type and further headers of an answer.

    Raises:
        InvalidPayloadError: an output has no form in JSON, or in the protocol.
    """
    tensors, binary = [], []
    for name, array in response.outputs.items():
        tensor: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if name in response.binary:
            binary.append(to_bytes(array))
            tensor["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            tensor["data"] = to_json(array, where=f"output {name!r}")
        tensors.append(tensor)
    head: dict[str, Any] = {"model_name": response.model_name, "model_version": response.model_version}
    if response.id is not None:
        head["id"] = response.id
    json = orjson.dumps({**head, "outputs": tensors}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not binary:
        return json, JSON, {}
    return b"".join([json, *binary]), BINARY, {LENGTH_HEADER: str(len(json))}


def classify(scores: Array, classes: int, labels: Sequence[str] | None) -> Array:
    """Return the best classes of each row as ``SCORE:INDEX:LABEL``, the best first (the extension "classification").

    Args:
        scores: Numbers, of shape (rows, classes) or (classes,).
        classes: How many, from 1; all where there are fewer.
        labels: Of the classes, in their order; left out without.

    Returns:
        BYTES of shape (rows, min(classes, all)), or without the rows where the scores have none.

    Raises:
        InvalidPayloadError: the scores are not of such a shape.
    """
    import numpy as np

    if scores.ndim not in (1, 2) or scores.dtype.kind not in "fiu":
        raise InvalidPayloadError(
            f"classification: it takes numbers of shape (rows, classes), and the output is {datatype_of(scores)} with "
            f"{scores.ndim} dimensions: leave the parameter out"
        )
    rows = np.atleast_2d(scores)
    best = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :classes]
    found = np.empty(best.shape, dtype=object)
    for row, column in np.ndindex(best.shape):
        index = int(best[row, column])
        label = f":{labels[index]}" if labels is not None and index < len(labels) else ""
        found[row, column] = f"{rows[row, index]:f}:{index}{label}".encode()
    return found if scores.ndim == 2 else found[0]


def _read_tensor(entry: Mapping[str, Any], body: bytes, at: int, *, where: str) -> tuple[Array, int]:
    """Return the array of a tensor, and where the binary data of the next one begin."""
    datatype = check_datatype(entry.get("datatype"), where=where)
    shape = check_shape(entry.get("shape"), where=where)
    parameters = _parameters(entry, where)
    if "shared_memory_region" in parameters:
        raise InvalidPayloadError(f"{where}: shared memory is not supported: send the data", field=where)
    size = parameters.get("binary_data_size")
    if (size is None) == ("data" not in entry):
        raise MalformedBodyError(f"{where}: send either data or parameters.binary_data_size")
    if size is None:
        return _read_json(entry["data"], datatype, shape, where=where), at
    if type(size) is not int or size < 0:
        raise MalformedBodyError(f"{where}: binary_data_size must be a whole number from 0")
    if size > len(body) - at:
        raise MalformedBodyError(
            f"{where}: binary_data_size is {size}, but the body has only {len(body) - at} bytes more"
        )
    return view_bytes(body, at, size, datatype, shape, where=where), at + size


def _read_json(data: Any, datatype: str, shape: tuple[int, ...], *, where: str) -> Array:
    if not isinstance(data, list):
        raise MalformedBodyError(f"{where}: data must be a list")
    elements, nesting = flatten(data, where=where)
    array = array_of(elements, datatype, where=where)
    if len(nesting) > 1 and nesting != shape and array.size == _product(shape):
        raise InvalidPayloadError(
            f"{where}: the shape is declared as {list(shape)}, but the lists nest as {list(nesting)}", field=where
        )
    return shaped(array, datatype, shape, where=where)


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def _wishes(head: Mapping[str, Any], *, default: bool) -> tuple[OutputWish, ...] | None:
    wanted = head.get("outputs")
    if wanted is None or wanted == []:
        return None
    if not isinstance(wanted, list) or len(wanted) > MAX_TENSORS:
        raise MalformedBodyError(f"outputs: must be a list of at most {MAX_TENSORS} tensors")
    wishes: dict[str, OutputWish] = {}
    for number, entry in enumerate(wanted):
        name = _name(entry, f"outputs[{number}]")
        where = f"output {name!r}"
        if name in wishes:
            raise MalformedBodyError(f"{where} is there twice")
        parameters = _parameters(entry, where)
        binary = _flag(parameters, "binary_data", where)
        classes = parameters.get("classification", 0)
        if type(classes) is not int or classes < 0:
            raise MalformedBodyError(f"{where}: classification must be a whole number from 0")
        wishes[name] = OutputWish(name=name, binary=default if binary is None else binary, classes=classes)
    return tuple(wishes.values())


def _load(text: bytes, load: Callable[[bytes], Any]) -> Any:
    try:
        return load(text)
    except ValueError as error:
        raise MalformedBodyError(f"the body is not JSON: {error}") from error


def _members(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedBodyError(f"{where}: must be an object")
    return value


def _name(entry: Any, where: str) -> str:
    name = _members(entry, where).get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise MalformedBodyError(f"{where}: name must be text of 1 to {MAX_NAME} characters")
    return name


def _parameters(entry: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    return _members(entry.get("parameters") or {}, f"{where}: parameters")


def _flag(parameters: Mapping[str, Any], key: str, where: str) -> bool | None:
    value = parameters.get(key)
    if value is not None and type(value) is not bool:
        raise MalformedBodyError(f"{where}: {key} must be true or false")
    return value


def _id(head: Mapping[str, Any]) -> str | None:
    value = head.get("id")
    if value is not None and not isinstance(value, str):
        raise MalformedBodyError("id: must be text")
    return value
