"""What models, and the files inside a version, may be called; where each thing lies in the store."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from skerry.errors import ModelRejectedError
from skerry.store.models.fields import NAME

MANIFEST_FILE = "manifest.json"
BLOBS = "blobs/sha256/"
MODELS = "models/"
FILE_NAME_LIMIT_BYTES = 255
FILES_LIMIT = 1000
NUMBER_LIMIT = 999_999_999
# Formats that are, or can hold, pickles: to open one is to run what its author wrote. NumPy's are among them: an array
# of objects in a .npy is a pickle, and nothing in the name tells which it is.
CODE_SUFFIXES = frozenset(
    {".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth", ".ckpt", ".npy", ".npz"}
)
PACKING_SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4", ".zip"})

_NUMBER = re.compile(r"[0-9]{9}")


def is_name(text: str) -> bool:
    """Return whether a model or an alias may be called so."""
    return bool(NAME.fullmatch(text))


def check_name(name: str, what: str = "model name") -> str:
    """Return the name of a model or an alias.

    Raises:
        ModelRejectedError: it is none.
    """
    if not is_name(name):
        raise ModelRejectedError(
            f"{what} {name!r}: use lower-case letters, digits, - and _, a letter first, no - or _ last, at most 63"
        )
    return name


def check_files(files: Iterable[str], where: str) -> None:
    """Check the names of a version's files: relative paths that stay inside the version's folder, and no pickles.

    Raises:
        ModelRejectedError: a name is none, there are none or too many, or one is both a file and a folder.
    """
    names = list(files)
    if not names:
        raise ModelRejectedError(f"{where}: give at least one file")
    if len(names) > FILES_LIMIT:
        raise ModelRejectedError(f"{where}: {len(names)} files are too many, a version holds at most {FILES_LIMIT}")
    for name in names:
        _check_file(name, where)
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    if both := sorted(folders.intersection(names)):
        raise ModelRejectedError(f"{where}: {both[0]!r} cannot be a file and a folder at once")


def _check_file(name: str, where: str) -> None:
    """Check one name; what is printed of it is its repr, as it may hold anything."""
    reason = _why_not(name)
    if reason is not None:
        raise ModelRejectedError(f"{where}: {name!r} cannot be the name of a model's file: {reason}")
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes and suffixes[-1] in PACKING_SUFFIXES:
        suffixes.pop()
    if suffixes and suffixes[-1] in CODE_SUFFIXES:
        raise ModelRejectedError(
            f"{where}: {name} is of a format that can run code when it is opened; export the model to ONNX, "
            "and write what goes with it as JSON"
        )


def _why_not(name: str) -> str | None:
    parts = name.split("/")
    # What cannot be printed are control characters, and halves of surrogate pairs, which UTF-8 cannot carry.
    if not name.isprintable() or "\\" in name:
        return "it has a backslash, or characters that cannot be printed"
    if not 1 <= len(name.encode("utf-8")) <= FILE_NAME_LIMIT_BYTES:
        return f"it must have 1 to {FILE_NAME_LIMIT_BYTES} bytes"
    if name.startswith("/"):
        return "it must be relative"
    if any(part in {"", ".", ".."} for part in parts):
        return "a part of it is empty, . or .."
    if parts[0].casefold() == MANIFEST_FILE:
        return f"{MANIFEST_FILE} is what the repository writes"
    return None


def blob_key(sha256: str) -> str:
    """Return the key of the content with this checksum."""
    return f"{BLOBS}{sha256}"


def versions_prefix(name: str) -> str:
    """Return what the keys of a model's manifests begin with."""
    return f"{MODELS}{name}/versions/"


def history_prefix(name: str) -> str:
    """Return what the keys of a model's history begin with."""
    return f"{MODELS}{name}/history/"


def numbered(prefix: str, number: int) -> str:
    """Return the key of an entry; numbers are padded, so that keys sort as numbers do."""
    return f"{prefix}{number:09d}"


def number_of(key: str) -> int | None:
    """Return the number that a key ends with; None where it is no entry."""
    last = key.rpartition("/")[2]
    return int(last) if _NUMBER.fullmatch(last) and int(last) > 0 else None
