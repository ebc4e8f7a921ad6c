"""How each field of a manifest is read: one function for each, with the types and bounds that it must keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from skerry.store.models.draft import FileEntry, TensorSpec
from skerry.store.models.fields import (
    NAME,
    SHA256,
    array,
    mapping,
    members,
    number,
    optional_text,
    plain,
    refusal,
    text,
    whole,
)
from skerry.store.models.names import FILES_LIMIT, NUMBER_LIMIT, check_files

KINDS = ("classifier", "regressor", "other")
TENSORS_LIMIT = 1000
DIMENSIONS_LIMIT = 32
DIMENSION_LIMIT = 2**31 - 1
LABELS_LIMIT = 100_000
FILE_LIMIT_BYTES = 2**50
LATEST_TIME_S = 1e11

_FRAMEWORK = re.compile(r"[a-z][a-z0-9._-]{0,62}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def _read_kind(value: Any, where: str) -> str:
    if value not in KINDS:
        raise refusal(where, f"must be one of {', '.join(KINDS)}")
    return str(value)


def _read_time(value: Any, where: str) -> float:
    found = number(value, where)
    if not 0 <= found <= LATEST_TIME_S:
        raise refusal(where, "must be a time in Unix seconds")
    return found


def _read_tensors(value: Any, where: str) -> tuple[TensorSpec, ...]:
    found = tuple(
        _read_tensor(item, f"{where}[{i}]") for i, item in enumerate(array(value, where, limit=TENSORS_LIMIT))
    )
    if len({tensor.name for tensor in found}) != len(found):
        raise refusal(where, "two have the same name")
    return found


def _read_tensor(value: Any, where: str) -> TensorSpec:
    found = members(value, where, ("name", "dtype", "shape"))
    shape = array(found["shape"], f"{where}.shape", limit=DIMENSIONS_LIMIT)
    lengths = tuple(
        None if item is None else whole(item, f"{where}.shape[{i}]", low=0, high=DIMENSION_LIMIT)
        for i, item in enumerate(shape)
    )
    return TensorSpec(text(found["name"], f"{where}.name"), text(found["dtype"], f"{where}.dtype"), lengths)


def _read_files(value: Any, where: str) -> dict[str, FileEntry]:
    found = mapping(value, where)
    if len(found) > FILES_LIMIT:
        raise refusal(where, f"{len(found)} files are too many, a version holds at most {FILES_LIMIT}")
    check_files(found, where)
    return {file: _read_file(entry, f"{where}.{file}") for file, entry in sorted(found.items())}


def _read_file(value: Any, where: str) -> FileEntry:
    found = members(value, where, ("size_bytes", "sha256"))
    size_bytes = whole(found["size_bytes"], f"{where}.size_bytes", low=0, high=FILE_LIMIT_BYTES)
    return FileEntry(size_bytes, text(found["sha256"], f"{where}.sha256", pattern=SHA256))


def _read_labels(value: Any, where: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(text(item, f"{where}[{i}]") for i, item in enumerate(array(value, where, limit=LABELS_LIMIT)))


def _read_metrics(value: Any, where: str) -> dict[str, float]:
    return {text(name, where): number(item, f"{where}.{name}") for name, item in sorted(mapping(value, where).items())}


def _read_parent(value: Any, where: str) -> int | None:
    return None if value is None else _read_version(value, where)


def _read_version(value: Any, where: str) -> int:
    return whole(value, where, low=1, high=NUMBER_LIMIT)


FIELDS: Mapping[str, Callable[[Any, str], Any]] = {
    "name": lambda value, where: text(value, where, pattern=NAME),
    "version": _read_version,
    "digest": lambda value, where: text(value, where, pattern=_DIGEST),
    "created_at": _read_time,
    "framework": lambda value, where: text(value, where, pattern=_FRAMEWORK),
    "kind": _read_kind,
    "inputs": _read_tensors,
    "outputs": _read_tensors,
    "files": _read_files,
    "labels": _read_labels,
    "metrics": _read_metrics,
    "data_digest": optional_text,
    "code_digest": optional_text,
    "parent": _read_parent,
    "about": lambda value, where: plain(mapping(value, where), where),
}
