"""Deal the rows of a data set to clients as unevenly as real sites hold them; seeded, each row exactly once.

Each function returns one array of row numbers per client, ascending, int64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skerry.errors import DataError
from skerry.learn.federated.ranges import check_count, check_real

Rows = NDArray[np.int64]


def split_evenly(rows: int, clients: int, *, seed: int) -> list[Rows]:
    """Deal rows at random in equal parts: independent and identically distributed (IID).

    Args:
        rows: How many there are.
        clients: How many to deal to.
        seed: Of the shuffle.

    Raises:
        SpecError: no client.
        DataError: fewer rows than clients.

    Example:
        >>> [len(part) for part in split_evenly(10, 3, seed=0)]
        [4, 3, 3]
    """
    _check(rows, clients, 1)
    return _sorted(np.array_split(np.random.default_rng(seed).permutation(rows), clients))


def split_by_label(labels: ArrayLike, clients: int, *, labels_per_client: int, seed: int) -> list[Rows]:
    """Give each client rows of exactly this many labels; the clients that share a label get equal parts of its rows.

    Args:
        labels: One per row, shape (rows,).
        clients: How many to deal to.
        labels_per_client: From 1 to the number of labels; all clients together need at least as many as there are.
        seed: Of the shuffles.

    Raises:
        SpecError: no client, or no label per client.
        DataError: more labels per client than there are, labels that nobody would get, or a label with fewer rows than
            clients.

    Source: McMahan et al., AISTATS 2017, section 3 ("pathological non-IID"), which cuts sorted rows into shards; ours
    never gives a client a piece of one label more. Li, Diao, Chen, He: Federated Learning on Non-IID Data Silos, ICDE
    2022 (``#C = k``).
    """
    codes, count = _encode(labels)
    _check(codes.size, clients, 1)
    check_count("split_by_label", "labels_per_client", labels_per_client, low=1)
    if labels_per_client > count:
        raise DataError(f"there are {count} labels; {labels_per_client} per client are more than that")
    if clients * labels_per_client < count:
        raise DataError(
            f"{clients} clients with {labels_per_client} labels each cannot hold {count} labels; "
            f"take at least {math.ceil(count / clients)} labels per client"
        )
    generator = np.random.default_rng(seed)
    # Clients take the next labels round a shuffled circle: each gets distinct ones, and each label about equally many.
    circle = np.resize(generator.permutation(count), clients * labels_per_client)
    parts: list[list[Rows]] = [[] for _ in range(clients)]
    for label in range(count):
        holders = np.flatnonzero(circle == label) // labels_per_client
        rows = generator.permutation(np.flatnonzero(codes == label))
        if rows.size < holders.size:
            raise DataError(f"label number {label} has {rows.size} rows for {holders.size} clients; take fewer clients")
        for holder, part in zip(holders, np.array_split(rows, holders.size), strict=True):
            parts[holder].append(part)
    return _sorted([np.concatenate(part) for part in parts])


def split_dirichlet(labels: ArrayLike, clients: int, *, alpha: float, seed: int, least_rows: int = 1) -> list[Rows]:
    """Draw for each label which share of its rows each client gets.

    Args:
        labels: One per row, shape (rows,).
        clients: How many to deal to.
        alpha: Of the symmetric Dirichlet distribution, at least 0.001: small for clients that have few labels, large
            for clients that are alike. 0.3 and 0.5 are usual.
        seed: Of the draws.
        least_rows: Of each client. One that drew fewer is given rows, at random, of whoever has most.

    Raises:
        SpecError: a setting is out of range.
        DataError: too few rows.

    Source: Hsu, Qi, Brown: Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification, 2019; by label rather than by client as in Yurochkin et al.: Bayesian Nonparametric
    Federated Learning of Neural Networks, ICML 2019. Both draw anew where a client has too few rows.
    """
    codes, count = _encode(labels)
    _check(codes.size, clients, least_rows)
    check_real("split_dirichlet", "alpha", alpha, low=0.001, high=math.inf)
    generator = np.random.default_rng(seed)
    parts: list[list[Rows]] = [[] for _ in range(clients)]
    for label in range(count):
        rows = generator.permutation(np.flatnonzero(codes == label))
        for holder, part in enumerate(_cut(rows, generator.dirichlet(np.full(clients, alpha)))):
            parts[holder].append(part)
    return _sorted(_fill_up([np.concatenate(part) for part in parts], least_rows, generator))


def split_by_quantity(rows: int, clients: int, *, alpha: float, seed: int, least_rows: int = 1) -> list[Rows]:
    """Draw how many rows each client gets; which ones is left to chance.

    Args:
        rows: How many there are.
        clients: How many to deal to.
        alpha: Of the symmetric Dirichlet distribution, at least 0.001: small for clients of very different sizes.
        seed: Of the draws.
        least_rows: Of each client. One that drew fewer is given rows, at random, of whoever has most.

    Raises:
        SpecError: a setting is out of range.
        DataError: too few rows.

    Source: Li, Diao, Chen, He: Federated Learning on Non-IID Data Silos, ICDE 2022 (quantity skew, ``q ~ Dir``).
    """
    _check(rows, clients, least_rows)
    check_real("split_by_quantity", "alpha", alpha, low=0.001, high=math.inf)
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.full(clients, alpha))
    return _sorted(_fill_up(_cut(generator.permutation(rows), shares), least_rows, generator))


def _check(rows: int, clients: int, least_rows: int) -> None:
    check_count("partition", "clients", clients, low=1)
    check_count("partition", "least_rows", least_rows, low=0)
    if rows < clients * least_rows:
        raise DataError(f"{rows} rows are too few for {clients} clients with at least {least_rows} each")


def _encode(labels: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """Return labels as numbers from 0, and how many there are."""
    array = np.asarray(labels)
    if array.ndim != 1 or not array.size:
        raise DataError(f"labels must be one per row; they have the shape {array.shape}")
    names, codes = np.unique(array, return_inverse=True)
    return codes, names.size


def _cut(rows: Rows, shares: NDArray[np.float64]) -> list[Rows]:
    """Return rows cut into parts of these shares, which sum to 1."""
    ends = np.minimum(np.rint(np.cumsum(shares[:-1]) * rows.size), rows.size)
    return np.split(rows, ends.astype(np.int64))


def _fill_up(parts: list[Rows], least_rows: int, generator: np.random.Generator) -> list[Rows]:
    """Return parts of at least this many rows: those that are short are given of the longest."""
    parts = list(parts)
    for index in range(len(parts)):
        while parts[index].size < least_rows:
            longest = max(range(len(parts)), key=lambda other: parts[other].size)
            wanted = min(least_rows - parts[index].size, parts[longest].size - least_rows)
            shuffled = generator.permutation(parts[longest])
            parts[index] = np.concatenate([parts[index], shuffled[:wanted]])
            parts[longest] = shuffled[wanted:]
    return parts


def _sorted(parts: list[NDArray[Any]]) -> list[Rows]:
    return [np.sort(part).astype(np.int64) for part in parts]
