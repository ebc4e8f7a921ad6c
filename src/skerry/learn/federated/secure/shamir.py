"""Shamir's secret sharing over a prime field: any ``threshold`` shares give the secret, fewer say nothing about it.

Source: Shamir: How to Share a Secret, Communications of the ACM 22 (11), 1979. Shares are made by whoever owns the
secret and joined by whoever is to learn it; Python's integers take a time that depends on their values, which a process
beside either of them could measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from skerry.errors import DataError

PRIME = 2**256 + 297
"""The smallest prime above 2**256: every secret of 32 bytes is an element of the field."""

SECRET_BYTES = 32
SHARE_BYTES = 33


def split(secret: bytes, *, threshold: int, count: int, random: Callable[[int], bytes]) -> list[bytes]:
    """Return the shares of a secret; the one at index i is the polynomial's value at i + 1.

    Args:
        secret: 32 bytes.
        threshold: Shares that are needed, from 1 to ``count``.
        count: Shares that are made.
        random: Returns that many bytes from a cryptographic source.
    """
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= count:
        raise DataError(f"cannot make {count} shares, of which {threshold} are needed, of {len(secret)} bytes")
    # 64 bytes taken modulo the prime are uniform but for 2**-256.
    terms = [int.from_bytes(secret, "big")]
    terms += [int.from_bytes(random(64), "big") % PRIME for _ in range(threshold - 1)]
    return [_evaluate(terms, at).to_bytes(SHARE_BYTES, "big") for at in range(1, count + 1)]


def join(shares: Mapping[int, bytes], *, threshold: int) -> bytes:
    """Return the secret of shares.

    Args:
        shares: By the place at which each is the polynomial's value, from 1.
        threshold: Shares that are needed; of more, those at the lowest places are used.

    Raises:
        DataError: there are too few, or they are not shares of one secret of 32 bytes.
    """
    if len(shares) < threshold:
        raise DataError(f"{len(shares)} shares of a secret, and {threshold} are needed")
    places = sorted(shares)[:threshold]
    secret = 0
    for place in places:
        above, below = 1, 1
        for other in places:
            if other != place:
                above = above * other % PRIME
                below = below * (other - place) % PRIME
        secret += int.from_bytes(shares[place], "big") * above * pow(below, -1, PRIME)
    secret %= PRIME
    if secret >= 1 << (8 * SECRET_BYTES):
        raise DataError("the shares are not of one secret: one of them was changed")
    return secret.to_bytes(SECRET_BYTES, "big")


def _evaluate(terms: list[int], at: int) -> int:
    value = 0
    for term in reversed(terms):
        value = (value * at + term) % PRIME
    return value
