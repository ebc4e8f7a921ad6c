"""A data set as a folder named by its content, which every worker on the machine maps instead of copying.

The folder appears whole or not at all (written beside, then renamed) and is never changed afterwards, so that any
number of processes may read it, and a second search on the same data finds it ready.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from skerry.errors import DataError
from skerry.learn.search.checks import check_features, check_labels, check_texts
from skerry.payload import Folder
from skerry.platforms.home import default_home

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """A shared data set, opened for reading.

    Args:
        folder: Where it lies; its name is the digest.
        kind: Whether the rows are texts or numbers.
        labels: The target of every row, shape (rows,).
        features: The numbers, shape (rows, features), a read-only memory map; None for texts.
        local: Whether the data must never leave their site: see `skerry.Folder`.
    """

    folder: Path
    kind: Literal["text", "array"]
    labels: NDArray[Any]
    features: NDArray[Any] | None = None
    local: bool = False

    def to_folder(self) -> Folder:
        """Return the data as what a call refers to by content."""
        return Folder(self.folder.resolve(), local=self.local)

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return self.folder.name

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    def read_texts(self) -> list[str]:
        """Return every text, in order."""
        import numpy as np

        ends = np.load(self.folder / "text_ends.npy")
        blob = (self.folder / "texts.bin").read_bytes()
        starts = [0, *ends[:-1].tolist()]
        return [
            blob[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends.tolist(), strict=True)
        ]


def default_root() -> Path:
    """Return the folder for shared data sets: ``search`` in the folder of the engine."""
    home = default_home()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # an engine refuses a folder that is open to other users
    return home / "search"


def share_texts(
    texts: Sequence[str],
    labels: Sequence[Any] | NDArray[Any],
    *,
    root: Path | None = None,
    blank: Literal["error", "keep"] = "error",
    local: bool = False,
) -> Dataset:
    """Write texts with their labels as a shared data set, unless the same one is there already.

    Args:
        texts: One document per row.
        labels: One label per row: strings, integers or booleans.
        root: The folder that holds the data sets, or None for the default.
        blank: What to do with documents of nothing but white space: refuse them, or keep them as rows without a word.
        local: Whether the data must never leave their site: then only an engine on this machine can search them.

    Raises:
        DataError: no texts, something that is no text, blank documents, missing labels, or lengths that differ.
    """
    import numpy as np

    target = check_labels(labels, len(texts))
    check_texts(texts, blank=blank)
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(part) for part in encoded], dtype=np.int64)
    blob = b"".join(encoded)
    digest = _digest("text", target, ends, blob)

    def write(folder: Path) -> None:
        (folder / "texts.bin").write_bytes(blob)
        np.save(folder / "text_ends.npy", ends)
        np.save(folder / "labels.npy", target, allow_pickle=False)
        _write_meta(folder, "text")

    return replace(open_dataset(str(write_once((root or default_root()) / digest, write))), local=local)


def share_arrays(
    features: Any,
    labels: Sequence[Any] | NDArray[Any],
    *,
    root: Path | None = None,
    classify: bool = True,
    local: bool = False,
) -> Dataset:
    """Write a matrix of numbers with its labels as a shared data set, unless the same one is there already.

    Args:
        features: Numbers, shape (rows, features) or (rows, ...), which is flattened; float32 stays float32, all else
            becomes float64.
        labels: One label per row: strings, integers or booleans; numbers for regression.
        root: The folder that holds the data sets, or None for the default.
        classify: Whether the labels are classes; false for regression.
        local: Whether the data must never leave their site: then only an engine on this machine can search them.

    Raises:
        DataError: NaN or infinity, an empty matrix, missing labels, or lengths that differ.
    """
    import numpy as np

    matrix = check_features(features)
    target = check_labels(labels, len(matrix), classify=classify)
    digest = _digest("array", target, np.array(matrix.shape), matrix.data, matrix.dtype.str)

    def write(folder: Path) -> None:
        np.save(folder / "features.npy", matrix, allow_pickle=False)
        np.save(folder / "labels.npy", target, allow_pickle=False)
        _write_meta(folder, "array")

    return replace(open_dataset(str(write_once((root or default_root()) / digest, write))), local=local)


@lru_cache(maxsize=4)
def open_dataset(folder: str) -> Dataset:
    """Open a shared data set; the last few stay open in the process.

    Raises:
        DataError: the folder is missing or holds no data set of this format.
    """
    import numpy as np

    path = Path(folder)
    try:
        meta = json.loads((path / "meta.json").read_text())
        if meta.get("format") != _FORMAT:
            raise DataError(f"data: {path} is of format {meta.get('format')!r}, not {_FORMAT}; share the data again")
        labels = np.load(path / "labels.npy", allow_pickle=False)
        labels.flags.writeable = False
        features = np.load(path / "features.npy", mmap_mode="r") if meta["kind"] == "array" else None
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"data: {path} holds no shared data set ({error}); share the data again") from error
    return Dataset(folder=path, kind=meta["kind"], labels=labels, features=features)


def write_once(folder: Path, write: Callable[[Path], None]) -> Path:
    """Write a folder as one step: whoever looks sees all of it or nothing.

    Args:
        folder: The final place; when it is there already, nothing is written.
        write: Fills the empty folder that it is given.

    Returns:
        ``folder``.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        write(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            # Another process was faster; the content is the same, because the name is its digest.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write_meta(folder: Path, kind: str) -> None:
    (folder / "meta.json").write_text(json.dumps({"format": _FORMAT, "kind": kind}))


def _digest(kind: str, labels: NDArray[Any], shape: NDArray[Any], content: Any, *more: str) -> str:
    """Hash the parts with their types and shapes before them, so that no two data sets share a byte stream."""
    head = json.dumps([_FORMAT, kind, labels.dtype.str, labels.shape, shape.dtype.str, shape.shape, *more])
    digest = hashlib.sha256(head.encode())
    for part in (labels.tobytes(), shape.tobytes(), content):
        digest.update(part)
    return digest.hexdigest()
