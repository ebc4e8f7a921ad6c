"""The marker that gives an array parameter its element type and shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skerry.errors import MalformedBodyError, SpecError
from skerry.payload.array import DTYPES, from_json_form, is_json_form, to_json_form

if TYPE_CHECKING:
    from typing import LiteralString

    import numpy as np
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Tensor:
    """Marks an array in an annotation: ``Annotated[np.ndarray, Tensor("float32", (None, 64))]``.

    It accepts arrays in either wire form, whose element type must be exactly this one, and nested lists of numbers that
    this element type can hold.

    Args:
        dtype: Name of the element type, such as ``"float32"``; None allows any number type.
        shape: Length of each dimension, None for a length that is free; None in its whole allows any shape.
    """

    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise SpecError(f"Tensor({self.dtype!r}): the dtype must be one of {', '.join(sorted(DTYPES))}")
        if self.shape is not None:
            if not all(length is None or (isinstance(length, int) and length >= 0) for length in self.shape):
                raise SpecError(f"Tensor(shape={self.shape!r}): write each length as a whole number from 0, or as None")
            object.__setattr__(self, "shape", tuple(self.shape))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        from pydantic_core import core_schema

        # The handler is not called: pydantic knows nothing of arrays, so this is the whole schema.
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(self._serialize, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shape: dict[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 0}}
        if self.shape is not None:
            lengths = [{"type": "integer", "minimum": 0} if n is None else {"const": n} for n in self.shape]
            shape = {"type": "array", "prefixItems": lengths, "minItems": len(lengths), "maxItems": len(lengths)}
        dtype: dict[str, Any] = {"const": self.dtype} if self.dtype else {"enum": sorted(DTYPES)}
        data = {"type": "string", "contentEncoding": "base64"}
        form = {
            "type": "object",
            "properties": {"dtype": dtype, "shape": shape, "data": data},
            "required": ["dtype", "shape", "data"],
        }
        return {"title": self._describe(), "anyOf": [form, {"type": "array"}, {"type": "number"}, {"type": "boolean"}]}

    def validate(self, value: Any) -> np.ndarray[Any, Any]:
        """Return the array that a decoded value stands for.

        Raises:
            PydanticCustomError: it is no array, or one of another element type or shape.
        """
        import numpy as np  # optional, and only needed where a handler annotates arrays

        if isinstance(value, np.ndarray):
            array = value
        elif is_json_form(value):
            try:
                array = from_json_form(value)
            except MalformedBodyError as error:
                raise _refusal("array", "{reason}", reason=error.message) from error
        elif isinstance(value, list | tuple | int | float):
            return self._check(self._from_numbers(value))
        else:
            raise _refusal(
                "array_type",
                "expected {expected}, as an array or as nested lists of numbers, got {given}",
                expected=self._describe(),
                given=type(value).__name__,
            )
        return self._check(array)

    def _from_numbers(self, value: Any) -> np.ndarray[Any, Any]:
        import numpy as np

        try:
            given = np.asarray(value)
        except (ValueError, OverflowError) as error:  # lists of different lengths
            raise self._mismatch("lists of different lengths or depths") from error
        if given.dtype.name not in DTYPES:
            raise self._mismatch("something else than numbers")
        if self.dtype is None or given.size == 0:
            return given if self.dtype is None else given.astype(self.dtype)
        wanted = np.dtype(self.dtype)
        if not np.can_cast(given.dtype, wanted, "same_kind") and not (given.dtype.kind in "iu" and wanted.kind in "iu"):
            raise self._mismatch(f"numbers that need {given.dtype.name}")
        with np.errstate(all="ignore"):
            array = given.astype(wanted)
        overflowed = array != given if wanted.kind in "iu" else np.isinf(array) & ~np.isinf(given)
        if np.any(overflowed):
            raise self._mismatch("numbers that it cannot hold")
        return array

    def _check(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        dtype_fits = array.dtype.name in DTYPES if self.dtype is None else array.dtype.name == self.dtype
        shape_fits = self.shape is None or (
            len(self.shape) == array.ndim
            and all(n is None or n == m for n, m in zip(self.shape, array.shape, strict=True))
        )
        if not (dtype_fits and shape_fits):
            raise self._mismatch(f"{array.dtype.name} of shape {_shape_text(array.shape)}")
        return array

    def _serialize(self, value: Any, info: core_schema.SerializationInfo) -> Any:
        array = self.validate(value)
        return to_json_form(array) if info.mode_is_json() else array

    def _mismatch(self, given: str) -> PydanticCustomError:
        return _refusal("array_mismatch", "expected {expected}, got {given}", expected=self._describe(), given=given)

    def _describe(self) -> str:
        dtype = self.dtype or "any number type"
        return f"{dtype} of any shape" if self.shape is None else f"{dtype} of shape {_shape_text(self.shape)}"


def _refusal(kind: LiteralString, message: LiteralString, **parts: str) -> PydanticCustomError:
    from pydantic_core import PydanticCustomError  # slow to import, and here already once anything is validated

    return PydanticCustomError(kind, message, parts)


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
