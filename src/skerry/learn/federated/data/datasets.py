"""Images of digits: MNIST from files in the IDX format, and the small ones that come with scikit-learn."""

from __future__ import annotations

import gzip
import importlib.util
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError, SkerryError
from skerry.learn.shared_data import shared_folder

SIDE = 28
CLASSES = 10
MOST_BYTES = 2**31
UNSIGNED_BYTE = 0x08
GZIP_MAGIC = b"\x1f\x8b"
TEST_RATIO = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Images of digits with what they show.

    Args:
        images: Shape (n, 28, 28), uint8; 0 is background.
        labels: Shape (n,), uint8, 0 to 9.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.integer[Any]]) -> Digits:
        """Return some of the images, copied, in the order of ``rows``."""
        return Digits(images=self.images[rows], labels=self.labels[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Digits to train on, and others to test with.

    Args:
        name: ``mnist`` or ``digits``.
        train: To be trained on.
        test: Nobody trains on these.
    """

    name: str
    train: Digits
    test: Digits


def load_dataset(folder: Path | None = None) -> Dataset:
    """Return MNIST from a folder, else from the shared data, else scikit-learn's digits.

    Args:
        folder: One's own, with MNIST's four files, or files of the same names and shapes; none to look for the others.

    Raises:
        DataError: the folder does not hold them, or a file is damaged.
    """
    if folder is not None:
        return load_mnist(folder)
    shared = shared_folder() / "mnist"
    return load_mnist(shared) if shared.is_dir() else load_small_digits()


def load_mnist(folder: Path) -> Dataset:
    """Return MNIST, or another data set with files of its names and shapes.

    Args:
        folder: With ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
            ``t10k-labels-idx1-ubyte``, each plain or with ``.gz``.

    Raises:
        DataError: a file is missing, damaged, or not of 28x28 pixels and digits.
    """
    return Dataset(name="mnist", train=_read_part(folder, "train"), test=_read_part(folder, "t10k"))


def load_small_digits() -> Dataset:
    """Return scikit-learn's 1,797 digits of 8x8 pixels, each pixel as 3x3 in the middle of 28x28; a fifth is for tests.

    Raises:
        SkerryError: scikit-learn is not installed.
    """
    small, labels = _read_small_digits()
    grey = np.round(small.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    images = np.pad(grey.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    every = Digits(images=images, labels=labels.astype(np.uint8))
    order = np.random.default_rng(0).permutation(len(every))
    tests = round(len(every) * TEST_RATIO)
    return Dataset(name="digits", train=every.take(order[tests:]), test=every.take(order[:tests]))


def _read_small_digits() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return scikit-learn's digits as it does: the pixels of each, 0 to 16, and the labels.

    Its file is read where it lies: to import the library takes longer than to train on these images, and much memory.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise SkerryError('the small digits come with scikit-learn: pip install "skerry[learn]"')
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():  # another version of the library may keep it elsewhere
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        return pixels, labels
    with gzip.open(path, "rt", encoding="ascii") as lines:
        rows = np.loadtxt(lines, delimiter=",")
    return rows[:, :-1], rows[:, -1].astype(int)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of an IDX file of unsigned bytes, plain or compressed with gzip; it cannot be written to.

    Args:
        path: The file.

    Raises:
        DataError: it cannot be read, is no such file, or is longer or shorter than it says.

    Source: LeCun, Cortes, Burges: The MNIST database of handwritten digits, "File formats".
    """
    try:
        with path.open("rb") as plain:
            compressed = plain.read(2) == GZIP_MAGIC
            plain.seek(0)
            if not compressed:
                return _read_array(plain, path)
            with gzip.open(plain) as unpacked:
                return _read_array(cast(BinaryIO, unpacked), path)
    except (OSError, EOFError, zlib.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(f"{path}: cannot be read: {reason}") from error


def _read_array(file: BinaryIO, path: Path) -> NDArray[np.uint8]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE or not 1 <= magic[3] <= 4:
        raise DataError(
            f"{path}: begins with {magic.hex() or 'nothing'}; an IDX file of unsigned bytes begins with 000008 and "
            "the number of its dimensions, 1 to 4"
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path}: ends within its header; copy the file again")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    size_bytes = math.prod(shape)
    if size_bytes > MOST_BYTES:
        raise DataError(f"{path}: says that it holds {shape}, {size_bytes} bytes; at most {MOST_BYTES} are read")
    data = file.read(size_bytes)
    if len(data) < size_bytes or file.read(1):
        held = f"{len(data)} bytes" if len(data) < size_bytes else "more"
        raise DataError(f"{path}: says that it holds {shape}, {size_bytes} bytes, but holds {held}; copy it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_part(folder: Path, part: str) -> Digits:
    images = read_idx(_find(folder, f"{part}-images-idx3-ubyte"))
    labels = read_idx(_find(folder, f"{part}-labels-idx1-ubyte"))
    if images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise DataError(f"{folder}: the images of {part} are {images.shape}; expected (n, {SIDE}, {SIDE})")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{folder}: {part} has {len(images)} images and labels {labels.shape}; expected one for each")
    if labels.max() >= CLASSES:
        raise DataError(f"{folder}: a label of {part} is {labels.max()}; expected digits from 0 to {CLASSES - 1}")
    return Digits(images=images, labels=labels)


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        f"{folder}: holds neither {name} nor {name}.gz; name a folder with the four files of MNIST, or set "
        "SKERRY_SHARED to the folder that holds data/mnist"
    )
