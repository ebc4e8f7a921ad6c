"""The rows that a model is tried and warmed up with: ``sample.json``, a request of the Open Inference Protocol v2."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skerry.errors import DataError, ModelRejectedError
from skerry.serve.rows import read_rows
from skerry.store.models import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SAMPLE_FILE = "sample.json"
TEXT = "string"
SAMPLE_ROWS = 4
MOST_SAMPLE_BYTES = 64 * 2**20
# The protocol's words for element types, by NumPy's; text is BYTES.
DATATYPES: Mapping[str, str] = MappingProxyType(
    {
        "bool": "BOOL",
        **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
        **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
        **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
    }
)
_NUMPY = {datatype: name for name, datatype in DATATYPES.items()}


def encode_sample(feeds: Mapping[str, Array], *, rows: int = SAMPLE_ROWS) -> bytes:
    """Return the first rows of named arrays as the JSON body of an inference request.

    Args:
        feeds: Arrays of at least one dimension, by the name of the model's input.
        rows: How many rows at most.
    """
    inputs = []
    for name, array in feeds.items():
        few = array[:rows]
        datatype = DATATYPES.get(few.dtype.name, "BYTES")
        data = few.ravel().tolist() if datatype != "BYTES" else [str(text) for text in few.ravel()]
        inputs.append({"name": name, "shape": list(few.shape), "datatype": datatype, "data": data})
    return json.dumps({"inputs": inputs}, allow_nan=True).encode()


def fit_sample(sample: Any, inputs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Return sample rows as a model's inputs take them: by name, and in their element types.

    Args:
        sample: An array, a list of strings, or a mapping of input names to those.
        inputs: What the model takes.

    Raises:
        DataError: the names or types do not fit.
    """
    first = inputs[0]
    feeds = read_rows(sample, name=first.name, text_name=first.name)
    wanted = {tensor.name: tensor for tensor in inputs}
    if set(feeds) != set(wanted):
        given, taken = ", ".join(sorted(feeds)), ", ".join(wanted)
        raise DataError(f"sample: the inputs given are {given}, and the model takes {taken}")
    return {name: _fit(array, wanted[name]) for name, array in feeds.items()}


def _fit(array: Array, tensor: TensorSpec) -> Array:
    if (tensor.dtype == TEXT) != (array.dtype == object):
        given = "texts" if array.dtype == object else str(array.dtype)
        raise DataError(f"sample: input {tensor.name!r} takes {tensor.dtype}, not {given}")
    return array if tensor.dtype == TEXT else array.astype(tensor.dtype)


def decode_sample(body: bytes) -> dict[str, Array]:
    """Return the named arrays of a request that `encode_sample` wrote, or that somebody else did.

    Raises:
        ModelRejectedError: it is no such request.
    """
    import numpy as np

    try:
        feeds = {}
        for tensor in json.loads(body)["inputs"]:
            is_text = tensor["datatype"] == "BYTES"
            values = np.array(tensor["data"], dtype=object if is_text else _NUMPY[tensor["datatype"]])
            shape = tuple(int(length) for length in tensor["shape"])
            if values.size != math.prod(shape):
                raise ValueError(f"{tensor['name']}: {values.size} elements do not have the shape {list(shape)}")
            feeds[str(tensor["name"])] = values.reshape(shape)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelRejectedError(
            f"{SAMPLE_FILE} is no inference request ({type(error).__name__}: {error}); it must be "
            '{"inputs": [{"name": ..., "shape": [...], "datatype": ..., "data": [...]}]}'
        ) from error
    if not feeds:
        raise ModelRejectedError(f"{SAMPLE_FILE} has no inputs")
    return feeds
