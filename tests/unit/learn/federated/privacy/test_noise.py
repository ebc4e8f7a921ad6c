"""Clipping, noise, and local differential privacy."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import DataError
from skerry.learn.federated.privacy.noise import clip, draw_noise, protect
from skerry.learn.federated.wire.messages import Privacy

UPDATES = st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20).map(np.array)


@given(update=UPDATES, clip_norm=st.floats(1e-6, 1e6))
def test_a_clipped_update_is_no_longer_than_the_norm_and_points_the_same_way(update, clip_norm):
    clipped = clip(update, clip_norm)
    assert np.linalg.norm(clipped) <= clip_norm * (1 + 1e-12)
    assert (np.sign(clipped) * np.sign(update) >= 0).all()


@given(update=st.lists(st.floats(-0.2, 0.2), max_size=20).map(np.array))
def test_a_short_update_stays_as_it_is(update):
    assert (clip(update, 1.0) == update).all()


def test_the_norm_of_float32_numbers_is_taken_in_float64():
    update = np.full(1_000_000, 1e-4, np.float32)
    assert np.linalg.norm(clip(update, 0.05)) == pytest.approx(0.05, rel=1e-12)
    assert clip(update, 0.05).dtype == np.float64


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(DataError, match="not finite"):
        protect(np.array([1.0, value]), Privacy(clip_norm=1.0))


def test_noise_has_the_deviation_that_was_asked_for():
    noise = draw_noise(200_000, 2.5, key=bytes(range(32)))
    assert noise.std() == pytest.approx(2.5, rel=0.02)
    assert abs(noise.mean()) < 0.05


def test_the_whole_key_counts():
    key = bytes(32)
    keys = [key, key[:-1] + b"\x01", b"\x80" + key[1:]]
    first, last, high = (draw_noise(8, 1.0, key=each) for each in keys)
    assert (draw_noise(8, 1.0, key=key) == first).all()
    assert (first != last).all()
    assert (first != high).all()
    assert (last != high).all()


def test_local_noise_is_measured_by_the_clip_norm():
    update = np.zeros(100_000, np.float32)
    protected = protect(update, Privacy(clip_norm=0.5, noise_multiplier=4.0), random=random.Random(3).randbytes)
    assert protected.std() == pytest.approx(2.0, rel=0.02)


def test_without_noise_an_update_is_only_clipped():
    protected = protect(np.array([3.0, 4.0]), Privacy(clip_norm=1.0))
    assert protected == pytest.approx([0.6, 0.8])


def test_local_noise_is_fresh_each_time():
    privacy = Privacy(clip_norm=1.0, noise_multiplier=1.0)
    assert (protect(np.zeros(8), privacy) != protect(np.zeros(8), privacy)).all()
