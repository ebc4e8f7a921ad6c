"""The images of a site: worked out there from the data set's files, and kept in a file of its own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.clients.site_store import default_root
from skerry.learn.federated.data.datasets import CLASSES, Dataset, Digits, load_dataset, load_small_digits
from skerry.learn.federated.data.partition import split_dirichlet
from skerry.testbed.experiments.edge_federated.messages import Division, Part

LACKING = ((9,), (0,), (7, 8, 9))
"""Digits that the clients lack in the paper's arm, so that they know about 90, 90 and 70 % of a test set."""
TEST = "test"
"""In place of a client's name: the test set."""
LEAST_ROWS = 100
Rows = NDArray[np.int64]


def read_images(data: str) -> Dataset:
    """Return MNIST or scikit-learn's digits.

    Args:
        data: ``auto`` for MNIST from the shared data, or the digits where it is not there; ``digits``; or a folder.

    Raises:
        DataError: a folder does not hold MNIST's files.
    """
    if data == "digits":
        return load_small_digits()
    return load_dataset(None if data == "auto" else Path(data))


def divide(labels: NDArray[Any], division: Division) -> list[Rows]:
    """Return the rows of each client.

    Args:
        labels: Of the training images.
        division: How they are divided.

    Raises:
        DataError: there is no such kind of division.
    """
    count = len(division.clients)
    if division.kind == "dirichlet":
        least = min(LEAST_ROWS, len(labels) // (2 * count))
        parts = split_dirichlet(labels, count, alpha=division.alpha, seed=division.seed, least_rows=least)
    elif division.kind == "labels":
        parts = _split_lacking(labels, count, division.seed)
    else:
        raise DataError(f"division of images {division.kind!r}: choose dirichlet or labels")
    if division.rows == 0:
        return parts
    draws = (np.random.default_rng([division.seed, number]) for number in range(count))
    return [np.sort(draw.permutation(part)[: division.rows]) for draw, part in zip(draws, parts, strict=True)]


def take_part(division: Division, client: str) -> Digits:
    """Return the images of a client, from this site's file of them, which is made when it is not there.

    Args:
        division: Which images each client has.
        client: Its name; `TEST` for the test set.

    Raises:
        DataError: there is no such client, or no such data.
    """
    if client not in (TEST, *division.clients):
        raise DataError(f"there is no client {client!r}; there are {', '.join(division.clients)}")
    folder = default_root("edge-federated-images")
    digest = hashlib.sha256(f"{client}\n{division.model_dump_json()}".encode()).hexdigest()[:32]
    images, labels = folder / f"{digest}.images.npy", folder / f"{digest}.labels.npy"
    if not labels.exists():
        _write_part(division, client, images, labels)
    # Mapped, so that what is not looked at takes no memory, and a worker from zero has it at once.
    return Digits(images=np.load(images, mmap_mode="r"), labels=np.load(labels))


def draw_rows(count: int, share_ratio: float, seed: int) -> Rows:
    """Return which of its images a client trains on in a round, ascending; at least one.

    Args:
        count: How many it has.
        share_ratio: The share that is drawn.
        seed: Of the draw.
    """
    drawn = np.random.default_rng([seed, count]).permutation(count)[: max(1, round(count * share_ratio))]
    return np.sort(drawn).astype(np.int64)


def describe_part(division: Division, client: str) -> Part:
    """Return what a client has; its images are made ready where they are not."""
    part = take_part(division, client)
    return Part(
        data=read_name(division.data),
        rows=len(part),
        labels=tuple(int(count) for count in np.bincount(part.labels, minlength=CLASSES)),
    )


def read_name(data: str) -> str:
    """Return what the data set is called: ``mnist`` or ``digits``."""
    if data in {"auto", "digits"}:
        from skerry.learn.shared_data import shared_folder

        return "mnist" if data == "auto" and (shared_folder() / "mnist").is_dir() else "digits"
    return "mnist"


def _write_part(division: Division, client: str, images: Path, labels: Path) -> None:
    whole = read_images(division.data)
    if client == TEST:
        found = whole.test.take(np.arange(division.test_rows or len(whole.test))[: len(whole.test)])
    else:
        found = whole.train.take(divide(whole.train.labels, division)[division.clients.index(client)])
    images.parent.mkdir(parents=True, exist_ok=True)
    for path, array in ((images, found.images), (labels, found.labels)):
        draft = path.with_suffix(f".{os.getpid()}.draft")
        with draft.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        draft.replace(path)


def _split_lacking(labels: NDArray[Any], count: int, seed: int) -> list[Rows]:
    """Deal each digit in equal parts to the clients that do not lack it."""
    random = np.random.default_rng(seed)
    parts: list[list[Rows]] = [[] for _ in range(count)]
    for digit in range(CLASSES):
        holders = [number for number in range(count) if digit not in LACKING[number % len(LACKING)]]
        rows = random.permutation(np.flatnonzero(labels == digit))
        for holder, dealt in zip(holders, np.array_split(rows, max(1, len(holders))), strict=False):
            parts[holder].append(dealt)
    return [np.sort(np.concatenate(part)).astype(np.int64) for part in parts]
