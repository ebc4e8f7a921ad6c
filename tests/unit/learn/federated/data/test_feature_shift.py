import numpy as np
import pytest

from skerry.errors import DataError, SpecError
from skerry.learn.federated.data.feature_shift import FeatureShift, draw_shifts, shift_images


def test_clients_are_spread_from_nothing_to_the_largest_shift():
    shifts = draw_shifts(5, seed=1, rotation_degrees=40, contrast_ratio=0.6, noise=0.2)
    np.testing.assert_allclose(sorted(shift.rotation_degrees for shift in shifts), [-40, -20, 0, 20, 40])
    np.testing.assert_allclose(sorted(shift.contrast_ratio for shift in shifts), [0.6, 0.7, 0.8, 0.9, 1.0])
    np.testing.assert_allclose(sorted(shift.noise for shift in shifts), [0, 0.05, 0.1, 0.15, 0.2])
    assert shifts == draw_shifts(5, seed=1, rotation_degrees=40, contrast_ratio=0.6, noise=0.2)
    assert shifts != draw_shifts(5, seed=2, rotation_degrees=40, contrast_ratio=0.6, noise=0.2)


def test_a_quarter_turn_is_numpys_and_a_whole_one_changes_nothing():
    images = np.random.default_rng(0).random((3, 9, 9))
    turned = shift_images(images, FeatureShift(rotation_degrees=90))
    np.testing.assert_allclose(turned, np.rot90(images, axes=(1, 2)), atol=1e-9)
    np.testing.assert_allclose(shift_images(images, FeatureShift(rotation_degrees=360)), images, atol=1e-9)


def test_what_is_turned_into_view_is_empty():
    turned = shift_images(np.ones((1, 10, 10)), FeatureShift(rotation_degrees=45))
    assert turned[0, 0, 0] == 0
    assert turned[0, 5, 5] == pytest.approx(1)
    assert turned.min() >= 0
    assert turned.max() <= 1 + 1e-12


def test_contrast_keeps_each_images_mean():
    images = np.random.default_rng(0).random((4, 6, 5)).astype(np.float32)
    paler = shift_images(images, FeatureShift(contrast_ratio=0.5))
    assert paler.dtype == np.float32
    np.testing.assert_allclose(paler.mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(paler.std(axis=(1, 2)), images.std(axis=(1, 2)) / 2, rtol=1e-5)


def test_noise_has_its_deviation_and_is_the_same_each_time():
    images, shift = np.zeros((50, 20, 20)), FeatureShift(noise=0.3, seed=4)
    noisy = shift_images(images, shift)
    assert noisy.std() == pytest.approx(0.3, rel=0.05)
    np.testing.assert_array_equal(noisy, shift_images(images, shift))


def test_what_is_no_image_or_no_shift_is_refused():
    with pytest.raises(DataError, match="rows, height, width"):
        shift_images(np.zeros((2, 4)), FeatureShift())
    with pytest.raises(DataError, match="uint8"):
        shift_images(np.zeros((1, 2, 2), np.uint8), FeatureShift())
    with pytest.raises(SpecError, match="noise must be a number, at least 0; it is -1"):
        draw_shifts(3, seed=0, noise=-1)
    with pytest.raises(SpecError, match="clients must be"):
        draw_shifts(0, seed=0)
