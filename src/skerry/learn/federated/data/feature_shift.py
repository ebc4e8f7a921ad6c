"""The same things seen otherwise at each client: images that are turned, paler and noisier."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.ranges import check_count, check_real


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureShift:
    """How a client sees images.

    Args:
        rotation_degrees: Counter-clockwise.
        contrast_ratio: What the distance of each pixel to its image's mean is multiplied with; 1 changes nothing.
        noise: Standard deviation of the Gaussian noise on each pixel, in the pixels' unit.
        seed: Of the noise.
    """

    rotation_degrees: float = 0.0
    contrast_ratio: float = 1.0
    noise: float = 0.0
    seed: int = 0


def draw_shifts(
    clients: int,
    *,
    seed: int,
    rotation_degrees: float = 0.0,
    contrast_ratio: float = 1.0,
    noise: float = 0.0,
) -> list[FeatureShift]:
    """Return how each client sees images; the clients are spread evenly from no shift to the largest, in random order.

    Args:
        clients: How many.
        seed: Of the order in which clients get their rotation, their contrast and their noise, and of the noise.
        rotation_degrees: Rotations lie between minus and plus this.
        contrast_ratio: Contrasts lie between this and 1; above 0.
        noise: Standard deviations lie between 0 and this.

    Raises:
        SpecError: a setting is out of range.

    Source: Li, Diao, Chen, He: Federated Learning on Non-IID Data Silos, ICDE 2022 (noise of client i is
    ``sigma * i / N``); Ghosh, Chung, Yin, Ramchandran: An Efficient Framework for Clustered Federated Learning, NeurIPS
    2020 (rotated MNIST).
    """
    check_count("draw_shifts", "clients", clients, low=1)
    check_real("draw_shifts", "rotation_degrees", rotation_degrees, low=0, high=math.inf)
    check_real("draw_shifts", "contrast_ratio", contrast_ratio, low=0, high=math.inf, open_low=True)
    check_real("draw_shifts", "noise", noise, low=0, high=math.inf)
    generator = np.random.default_rng(seed)
    places = np.linspace(0, 1, clients) if clients > 1 else np.ones(1)
    turns, contrasts, noises = (generator.permutation(places) for _ in range(3))
    seeds = generator.integers(0, 2**31, clients)
    return [
        FeatureShift(
            rotation_degrees=float((2 * turn - 1) * rotation_degrees),
            contrast_ratio=float(1 + contrast * (contrast_ratio - 1)),
            noise=float(level * noise),
            seed=int(own),
        )
        for turn, contrast, level, own in zip(turns, contrasts, noises, seeds, strict=True)
    ]


def shift_images(images: NDArray[np.floating], shift: FeatureShift) -> NDArray[np.floating]:
    """Return images as a client sees them: turned, then paler, then noisier. The same each time.

    Args:
        images: Shape (rows, height, width), of floating-point numbers.
        shift: From `draw_shifts`.

    Returns:
        New images of the same shape and dtype. What is turned into view is 0; pixels are not cut off at any bound.

    Raises:
        DataError: the images have another shape or dtype.
    """
    if images.ndim != 3 or not np.issubdtype(images.dtype, np.floating):
        raise DataError(
            f"images must have the shape (rows, height, width) and floating-point numbers; "
            f"they have {images.shape} of {images.dtype}"
        )
    seen = _turn(images, shift.rotation_degrees) if shift.rotation_degrees else images.astype(np.float64)
    if shift.contrast_ratio != 1:
        mean = seen.mean(axis=(1, 2), keepdims=True)
        seen = mean + shift.contrast_ratio * (seen - mean)
    if shift.noise:
        seen = seen + np.random.default_rng(shift.seed).normal(0, shift.noise, seen.shape)
    return seen.astype(images.dtype)


def _turn(images: NDArray[np.floating], degrees: float) -> NDArray[np.float64]:
    """Return images turned about their middle, each pixel interpolated of the four that it comes from."""
    _, height, width = images.shape
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    down, right = np.mgrid[:height, :width].astype(np.float64)
    down -= (height - 1) / 2
    right -= (width - 1) / 2
    # Rows count downwards, so that counter-clockwise for the eye takes each pixel from the clockwise side.
    from_down = cosine * down + sine * right + (height - 1) / 2
    from_right = cosine * right - sine * down + (width - 1) / 2
    framed = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    top = np.clip(np.floor(from_down), -1, height - 1).astype(int)
    left = np.clip(np.floor(from_right), -1, width - 1).astype(int)
    lower, righter = np.clip(from_down - top, 0, 1), np.clip(from_right - left, 0, 1)
    return np.asarray(
        framed[:, top + 1, left + 1] * (1 - lower) * (1 - righter)
        + framed[:, top + 1, left + 2] * (1 - lower) * righter
        + framed[:, top + 2, left + 1] * lower * (1 - righter)
        + framed[:, top + 2, left + 2] * lower * righter
    )
