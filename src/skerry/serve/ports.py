"""A model's inputs and outputs, and callers' values as arrays that fit them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skerry.errors import InvalidPayloadError, MalformedBodyError, ModelRejectedError
from skerry.payload.array import from_json_form, is_json_form
from skerry.payload.datatype import BYTES, NUMPY_NAME, array_of, datatype_of, describe, flatten

if TYPE_CHECKING:
    import numpy as np

    from skerry.store.models import TensorSpec

    Array = np.ndarray[Any, Any]

MOST_LENGTHS = 1 << 16  # product of the lengths above 0 of an array without elements, which nothing else bounds
_DATATYPE = {
    **{datatype: datatype for datatype in (*NUMPY_NAME, BYTES)},
    **{name: datatype for datatype, name in NUMPY_NAME.items()},
    **{"float": "FP32", "double": "FP64", "string": BYTES, "str": BYTES, "object": BYTES},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One input or output.

    Args:
        name: As the model calls it.
        datatype: Of its elements, as the Open Inference Protocol calls it.
        shape: Length of each dimension, None where any fits.
    """

    name: str
    datatype: str
    shape: tuple[int | None, ...]

    @classmethod
    def of(cls, tensor: TensorSpec, *, model: str) -> Port:
        """Return the port that a manifest describes.

        Raises:
            ModelRejectedError: nothing that can be sent has this element type.
        """
        datatype = _DATATYPE.get(tensor.dtype.removeprefix("tensor(").removesuffix(")"))
        if datatype is None:
            raise ModelRejectedError(
                f"model {model}: {tensor.name!r} has elements of type {tensor.dtype!r}, which cannot be sent: export "
                f"it with one of {', '.join(NUMPY_NAME.values())} or string"
            )
        return cls(name=tensor.name, datatype=datatype, shape=tensor.shape)

    def __str__(self) -> str:
        return f"{self.name!r} ({describe(self.datatype, self.shape)})"

    @property
    def is_batched(self) -> bool:
        """Whether its first dimension is free."""
        return bool(self.shape) and self.shape[0] is None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether arrays of a shape may go in."""
        return len(shape) == len(self.shape) and all(
            length in (None, given) for length, given in zip(self.shape, shape, strict=True)
        )


class Inputs:
    """What a model takes.

    Args:
        ports: Its inputs.
        model: What messages call it.
    """

    def __init__(self, ports: Sequence[Port], *, model: str) -> None:
        self._ports = {port.name: port for port in ports}
        self._model = model
        self._may_lack: frozenset[str] = frozenset()

    def allow_none(self, names: Iterable[str]) -> None:
        """Take arrays without elements for these inputs; for others they are refused.

        ONNX Runtime's recurrent kernels end the process on them, so a model gets them only where its publisher says so.
        """
        self._may_lack = frozenset(names)

    def check(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Return arrays as the model takes them: of BYTES as text.

        Raises:
            InvalidPayloadError: one is missing, unknown, or not of the datatype and shape that the model takes.
        """
        self._check_names(tensors)
        return {name: self._check_array(port, tensors[name]) for name, port in self._ports.items()}

    def read(self, value: Any) -> dict[str, Array]:
        """Return the arrays of a plain value: rows for a model with one input, else rows by the input's name.

        Raises:
            InvalidPayloadError: the value is not of that form, or an array does not fit.
        """
        if not isinstance(value, Mapping) or is_json_form(value):
            return {self._only().name: self._read_array(self._only(), value)}
        self._check_names(value)
        return {name: self._read_array(port, value[name]) for name, port in self._ports.items()}

    def read_instances(self, rows: Any) -> dict[str, Array]:
        """Return the arrays of KServe v1's ``instances``: a list of rows, or of objects with a row for each input.

        Raises:
            InvalidPayloadError: they are not of that form, or an array does not fit.
        """
        if not isinstance(rows, list):
            raise InvalidPayloadError("instances: send a list", field="instances")
        if not rows or not all(isinstance(row, dict) for row in rows):
            return self.read(rows)
        names = rows[0].keys()
        if any(row.keys() != names for row in rows):
            raise InvalidPayloadError("instances: each must name the same inputs", field="instances")
        return self.read({name: [row[name] for row in rows] for name in names})

    def _only(self) -> Port:
        if len(self._ports) != 1:
            raise InvalidPayloadError(
                f'model {self._model} takes {self._list()}: send {{"inputs": {{NAME: rows, ...}}}}', field="inputs"
            )
        return next(iter(self._ports.values()))

    def _check_names(self, given: Mapping[str, Any]) -> None:
        for name in given:
            if name not in self._ports:
                raise InvalidPayloadError(
                    f"input {str(name)[:100]!r}: model {self._model} has none of this name; it takes {self._list()}",
                    field=str(name)[:100],
                )
        for name, port in self._ports.items():
            if name not in given:
                raise InvalidPayloadError(f"input {name!r} is missing: model {self._model} takes {port}", field=name)

    def _list(self) -> str:
        return ", ".join(map(str, self._ports.values()))

    def _check_array(self, port: Port, array: Array) -> Array:
        given = datatype_of(array)
        if given != port.datatype or not port.fits(array.shape):
            raise InvalidPayloadError(
                f"input {port.name!r}: expected {describe(port.datatype, port.shape)}, "
                f"given {describe(given, array.shape)}",
                field=port.name,
            )
        self._check_elements(port, array.shape)
        return _as_text(array, port.name) if given == BYTES else array

    def _check_elements(self, port: Port, shape: tuple[int, ...]) -> None:
        if 0 not in shape:
            return
        if port.name not in self._may_lack or math.prod(length for length in shape if length) > MOST_LENGTHS:
            raise InvalidPayloadError(
                f"input {port.name!r}: {describe(port.datatype, shape)} has no elements; send at least one row",
                field=port.name,
            )

    def _read_array(self, port: Port, value: Any) -> Array:
        try:
            return self._make_array(port, value)
        except InvalidPayloadError as error:
            error.details["field"] = port.name
            raise

    def _make_array(self, port: Port, value: Any) -> Array:
        where = f"input {port.name!r}"
        if is_json_form(value):
            try:
                value = from_json_form(value)
            except MalformedBodyError as error:
                raise InvalidPayloadError(f"{where}: {error.message}", field=port.name) from error
        if _is_array(value):
            return self._check_array(port, _converted(value, port))
        if isinstance(value, list | tuple) and value and all(map(_is_array, value)):
            return self._check_array(port, _converted(_stacked(value, where), port))
        elements, shape = flatten(value, where=where)
        if not port.fits(shape):
            expected = describe(port.datatype, port.shape)
            raise InvalidPayloadError(
                f"{where}: expected {expected}, given {describe(port.datatype, shape)}", field=port.name
            )
        self._check_elements(port, shape)
        array = array_of(elements, port.datatype, where=where).reshape(shape)
        return _as_text(array, port.name) if port.datatype == BYTES else array


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape")


def _stacked(rows: Sequence[Any], where: str) -> Array:
    import numpy as np

    if len({(str(row.dtype), tuple(row.shape)) for row in rows}) > 1:
        raise InvalidPayloadError(f"{where}: arrays of different types or shapes make no array", field=where)
    return np.stack([np.asarray(row) for row in rows])


def _converted(value: Any, port: Port) -> Array:
    """Return an array in the port's element type, where no number changes its meaning; else as it is."""
    import numpy as np

    array = np.asarray(value)
    if port.datatype == BYTES or array.dtype.kind not in "iuf" or array.dtype.name == NUMPY_NAME[port.datatype]:
        return array
    wanted = np.dtype(NUMPY_NAME[port.datatype])
    if wanted.kind == "f":
        with np.errstate(over="ignore"):
            found = array.astype(wanted)
        return found if not np.any(np.isinf(found) & np.isfinite(array)) else array
    if wanted.kind in "iu" and array.dtype.kind in "iu":
        bounds = np.iinfo(wanted)
        if not array.size or (bounds.min <= int(array.min()) and int(array.max()) <= bounds.max):
            return array.astype(wanted)
    return array


def _as_text(array: Array, name: str) -> Array:
    import numpy as np

    text = np.empty(array.size, dtype=object)
    try:
        text[:] = [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise InvalidPayloadError(
            f"input {name!r}: an element is not UTF-8, and models take text", field=name
        ) from error
    return text.reshape(array.shape)
