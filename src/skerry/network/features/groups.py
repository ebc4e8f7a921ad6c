"""Grouping of rows, and sums, counts and entropies by group, without a loop over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Values, numbered.

    Args:
        of: For each row the number of its value, from 0.
        count: How many different values there may be.
    """

    of: NDArray[np.int64]
    count: int


def code_numbers(values: NDArray[Any]) -> Codes:
    """Number the values of a column of numbers."""
    if values.dtype.itemsize <= 2:  # ports and protocols are their own numbers
        return Codes(of=values.astype(np.int64), count=1 << 8 * values.dtype.itemsize)
    found, codes = np.unique(values, return_inverse=True)
    return Codes(of=codes.reshape(-1), count=len(found))


def code_addresses(values: NDArray[Any]) -> Codes:
    """Number the values of a column of addresses."""
    low = code_numbers(np.ascontiguousarray(values["low"]))
    high = values["high"]
    if not high.any():  # IPv4 only
        return low
    return join_codes(code_numbers(np.ascontiguousarray(high)), low)


def join_codes(first: Codes, second: Codes) -> Codes:
    """Number the pairs of two columns. Numbers stay below the number of rows, so they can be joined again."""
    found, codes = np.unique(first.of * second.count + second.of, return_inverse=True)
    return Codes(of=codes.reshape(-1), count=len(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a value is spread within each group.

    Args:
        distinct: How many different values there are.
        entropy_bits: Entropy of the values, weighted; 0 where there is only one.
        top_ratio: Share of the most frequent value.
    """

    distinct: NDArray[np.float64]
    entropy_bits: NDArray[np.float64]
    top_ratio: NDArray[np.float64]


def spread_of(groups: Codes, values: Codes, weights: NDArray[np.float64], totals: NDArray[np.float64]) -> Spread:
    """Return how a value is spread within each group.

    Args:
        groups: The group of each row.
        values: The value of each row.
        weights: What each row counts.
        totals: The sum of the weights of each group.
    """
    pairs, rows = np.unique(groups.of * values.count + values.of, return_inverse=True)
    owner = pairs // values.count
    share = np.bincount(rows.reshape(-1), weights, len(pairs)) / np.maximum(totals, 1e-12)[owner]
    surprise = -share * np.log2(np.where(share > 0, share, 1.0))
    top = np.zeros(groups.count)
    np.maximum.at(top, owner, share)
    return Spread(
        distinct=np.bincount(owner, minlength=groups.count).astype(np.float64),
        entropy_bits=np.maximum(np.bincount(owner, surprise, groups.count), 0.0),
        top_ratio=top,
    )
