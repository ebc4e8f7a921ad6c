"""Data sets from where people have them: CSV files, the JSON of paper 001's function, scikit-learn's digits."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skerry.errors import DataError
from skerry.learn.search.dataset import Dataset, share_arrays, share_texts
from skerry.learn.search.wire import TrainRequest, read_request


def load_digits(*, root: Path | None = None) -> Dataset:
    """Share scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels (0 to 16), labels 0 to 9."""
    from sklearn import datasets

    digits = datasets.load_digits()
    return share_arrays(digits.data, digits.target, root=root)


def load_csv(path: Path | str, *, label: str | int = -1, root: Path | None = None) -> Dataset:
    """Share the rows of a CSV file whose columns are numbers but for the label.

    Args:
        path: The file, plain or ending in ``.gz``, in UTF-8, separated by commas.
        label: Name or number of the label's column; the last one unless told.
        root: The folder that holds the data sets, or None for the default.

    Returns:
        The shared data set; labels are integers when all of them are, else strings.

    Raises:
        DataError: no such file or column, rows of different lengths, or a feature that is no number, with its line.
    """
    rows = [row for row in csv.reader(io.StringIO(_read_text(Path(path)))) if row]
    if not rows:
        raise DataError(f"{path}: the file is empty")
    column = _find_column(rows[0], label, path)
    first = 0 if _is_data(rows[0], column) and not isinstance(label, str) else 1
    features, labels = [], []
    for number, row in enumerate(rows[first:], start=first + 1):
        if len(row) != len(rows[0]):
            raise DataError(f"{path}: row {number} has {len(row)} columns, the first has {len(rows[0])}")
        labels.append(row[column].strip())
        if not labels[-1]:
            raise DataError(f"{path}: row {number}: the label is empty", field="y")
        features.append(_read_numbers(row, column, f"{path}: row {number}"))
    return share_arrays(features, _read_labels(labels), root=root)


def load_json(path: Path | str, *, root: Path | None = None) -> tuple[str, Dataset]:
    """Share the texts of a request of paper 001's function that lies in a file.

    Args:
        path: The file, ``.json`` or ``.json.gz``.
        root: The folder that holds the data sets, or None for the default.

    Returns:
        The short name of the model that the request asks for, and the shared data set.

    Raises:
        DataError: no such file, no such JSON, or texts and labels that do not fit each other.
    """
    from pydantic import ValidationError

    try:
        request = TrainRequest.model_validate_json(_read_text(Path(path)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise DataError(f"{path}: {place}: {first['msg']}") from error
    _keys, texts, labels = read_request(request)
    return request.model, share_texts(texts, labels, root=root, blank="keep")


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _find_column(head: Sequence[str], label: str | int, path: Path | str) -> int:
    names = [name.strip() for name in head]
    if isinstance(label, str):
        if label not in names:
            raise DataError(f"{path}: there is no column {label!r}; the first row has {', '.join(names)}")
        return names.index(label)
    if not -len(head) <= label < len(head):
        raise DataError(f"{path}: there is no column {label}; rows have {len(head)} columns")
    return label % len(head)


def _is_data(row: Sequence[str], column: int) -> bool:
    """Return whether the first row holds values: a header has names where the features' numbers would be."""
    try:
        [float(value) for number, value in enumerate(row) if number != column]
    except ValueError:
        return False
    return True


def _read_numbers(row: Sequence[str], column: int, place: str) -> list[float]:
    numbers = []
    for position, value in enumerate(row):
        if position == column:
            continue
        try:
            numbers.append(float(value))
        except ValueError:
            raise DataError(f"{place}, column {position + 1}: {value!r} is no number") from None
        if not math.isfinite(numbers[-1]):
            raise DataError(f"{place}, column {position + 1}: {value!r} is not finite; fill it in or leave out the row")
    return numbers


def _read_labels(labels: list[str]) -> list[Any]:
    try:
        return [int(label) for label in labels]
    except ValueError:
        return list(labels)
