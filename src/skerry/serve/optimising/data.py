"""The rows on which a model is calibrated and measured."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.errors import DataError
from skerry.serve.sample import fit_sample
from skerry.store.models import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TARGETS = ("y", "label", "labels", "target")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationData:
    """Rows as a model takes them, and what it should give.

    Args:
        feeds: Arrays of n rows by the name of the input.
        targets: The n labels or numbers that are right; None where they are not known.
    """

    feeds: Mapping[str, Array]
    targets: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(self.feeds.values())))

    def take(self, rows: int) -> dict[str, Array]:
        """Return the first rows of every input, beginning again where there are not enough."""
        import numpy as np

        chosen = np.arange(rows) % len(self)
        return {name: array[chosen] for name, array in self.feeds.items()}

    def digest(self) -> str:
        """Return a digest of the rows and targets."""
        import numpy as np

        sha = hashlib.sha256()
        arrays = [*self.feeds.items(), *([] if self.targets is None else [("", self.targets)])]
        for name, array in arrays:
            content = array.astype(str) if array.dtype == object else array
            sha.update(f"{name} {content.dtype} {content.shape} ".encode())
            sha.update(np.ascontiguousarray(content).tobytes())
        return f"sha256:{sha.hexdigest()}"


def make_data(rows: Any, targets: Any, inputs: Sequence[TensorSpec]) -> EvaluationData:
    """Return rows and targets as a model takes them.

    Args:
        rows: An array, a list of strings, or a mapping of input names to those, of n rows.
        targets: n labels or numbers, or None.
        inputs: What the model takes.

    Raises:
        DataError: they do not fit the model, or each other.
    """
    import numpy as np

    data = EvaluationData(feeds=fit_sample(rows, inputs), targets=None if targets is None else np.asarray(targets))
    for tensor in inputs:
        array = data.feeds[tensor.name]
        if array.shape != tensor.shape and not _fits(array.shape, tensor.shape):
            # Rows of numbers, as a table has them, may be images to the model.
            reshaped = _reshape(array, tensor)
            data = EvaluationData(feeds={**data.feeds, tensor.name: reshaped}, targets=data.targets)
    if data.targets is not None and data.targets.shape[:1] != (len(data),):
        raise DataError(f"data: {len(data):,} rows and {data.targets.shape} targets do not go together")
    return data


def read_data(path: Path, inputs: Sequence[TensorSpec]) -> EvaluationData:
    """Return the rows and targets of a file.

    Args:
        path: An ``.npz`` file with an array for each input (or one called ``X``), or a ``.csv`` file with names in its
            first row and numbers below; what is called ``y``, ``label``, ``labels`` or ``target`` is the targets.
        inputs: What the model takes.

    Raises:
        DataError: it cannot be read, or does not fit the model.
    """
    import numpy as np

    try:
        if path.suffix == ".csv":
            arrays = _read_csv(path)
        else:
            # Arrays of Python objects are pickles inside.
            with np.load(path, allow_pickle=False) as loaded:
                arrays = dict(loaded) if hasattr(loaded, "files") else {"X": loaded}
    except (OSError, ValueError, EOFError, UnicodeError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    named = [name for name in arrays if name in TARGETS]
    targets = arrays.pop(named[0]) if named else None
    if not arrays:
        raise DataError(f"{path}: there are no rows in it, only {', '.join(named) or 'nothing'}")
    rows: Any = next(iter(arrays.values())) if len(arrays) == 1 and len(inputs) == 1 else arrays
    return make_data(rows, targets, inputs)


def _read_csv(path: Path) -> dict[str, Array]:
    import numpy as np

    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [row for row in csv.reader(file) if row]
    if len(lines) < 2:
        raise ValueError("it needs a row of names and rows of numbers")
    head = [name.strip() for name in lines[0]]
    if wrong := next((number for number, row in enumerate(lines, 1) if len(row) != len(head)), None):
        raise ValueError(f"line {wrong} has not as many columns as the first")
    targets = next((position for position, name in enumerate(head) if name in TARGETS), None)
    columns = [position for position in range(len(head)) if position != targets]
    arrays = {"X": np.array([[float(row[position]) for position in columns] for row in lines[1:]])}
    if targets is not None:
        arrays[head[targets]] = np.array([row[targets].strip() for row in lines[1:]])
    return arrays


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        length is None or length == given for given, length in zip(shape, wanted, strict=True)
    )


def _reshape(array: Array, tensor: TensorSpec) -> Array:
    rest = tensor.shape[1:]
    if None not in rest and tensor.shape[:1] == (None,):
        try:
            return array.reshape(len(array), *(length for length in rest if length is not None))
        except ValueError:
            pass
    raise DataError(f"data: input {tensor.name!r} takes the shape {list(tensor.shape)}, not {list(array.shape)}")
