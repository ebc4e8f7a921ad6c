"""Shamir's secret sharing."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import DataError
from skerry.learn.federated.secure.shamir import PRIME, SHARE_BYTES, join, split

SECRETS = st.binary(min_size=32, max_size=32)


@st.composite
def sharings(draw):
    count = draw(st.integers(1, 12))
    threshold = draw(st.integers(1, count))
    places = draw(st.sets(st.integers(1, count), min_size=threshold, max_size=count))
    return threshold, count, places


@given(secret=SECRETS, sharing=sharings(), seed=st.integers(0, 2**32))
def test_any_threshold_of_shares_gives_the_secret(secret, sharing, seed):
    threshold, count, places = sharing
    shares = split(secret, threshold=threshold, count=count, random=random.Random(seed).randbytes)
    assert {len(share) for share in shares} == {SHARE_BYTES}
    assert join({place: shares[place - 1] for place in places}, threshold=threshold) == secret


@given(one=SECRETS, other=SECRETS, seed=st.integers(0, 2**32))
def test_one_share_too_few_fits_every_secret(one, other, seed):
    # Two of three are known. For any other secret there is a polynomial through the same two points.
    shares = split(one, threshold=3, count=3, random=random.Random(seed).randbytes)
    first, second = (int.from_bytes(share, "big") for share in shares[:2])
    guess = int.from_bytes(other, "big")
    # f(0) = guess, f(1) = first, f(2) = second determine f(3) = f(0) - 3 f(1) + 3 f(2).
    third = ((guess - 3 * first + 3 * second) % PRIME).to_bytes(SHARE_BYTES, "big")
    assert join({1: shares[0], 2: shares[1], 3: third}, threshold=3) == other


@given(secret=SECRETS, place=st.integers(0, 2), bit=st.integers(0, 255))
def test_a_changed_share_never_gives_the_secret(secret, place, bit):
    shares = split(secret, threshold=3, count=5, random=random.Random(1).randbytes)
    changed = (int.from_bytes(shares[place], "big") ^ (1 << bit)).to_bytes(SHARE_BYTES, "big")
    shares[place] = changed
    try:
        found = join(dict(enumerate(shares, start=1)), threshold=3)
    except DataError:  # the field has a few elements that are no secret of 32 bytes
        found = None
    assert found != secret


def test_too_few_shares_are_refused():
    shares = split(bytes(32), threshold=3, count=5, random=random.Random(1).randbytes)
    with pytest.raises(DataError, match="2 shares of a secret, and 3 are needed"):
        join({1: shares[0], 4: shares[3]}, threshold=3)


@pytest.mark.parametrize(("secret", "threshold", "count"), [(bytes(31), 1, 2), (bytes(32), 3, 2), (bytes(32), 0, 2)])
def test_a_sharing_that_makes_no_sense_is_refused(secret, threshold, count):
    with pytest.raises(DataError, match="cannot make"):
        split(secret, threshold=threshold, count=count, random=random.Random(1).randbytes)


def test_the_modulus_is_prime():
    base, odd, twos = random.Random(5), PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(40):  # Miller-Rabin
        value = pow(base.randrange(2, PRIME - 1), odd, PRIME)
        passes = value in (1, PRIME - 1)
        for _ in range(twos - 1):
            value = value * value % PRIME
            passes = passes or value == PRIME - 1
        assert passes
