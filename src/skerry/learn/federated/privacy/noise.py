"""Clipping and Gaussian noise, and the two together as local differential privacy."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.wire.messages import Privacy
from skerry.learn.federated.wire.parameters import Vector

_TINY = 1e-100  # below it, squares lose digits


def clip(update: Vector, clip_norm: float) -> NDArray[np.float64]:
    """Return an update scaled down to an L2 norm of at most ``clip_norm``, in float64; a shorter one as it is.

    Args:
        update: float32 or float64.
        clip_norm: Over 0.

    Raises:
        DataError: a number is not finite.
    """
    clipped = update.astype(np.float64)
    with np.errstate(over="ignore"):
        norm = math.sqrt(float(np.square(clipped).sum()))
    if not _TINY < norm < math.inf:
        norm = _norm_of_extremes(clipped)
    if norm > clip_norm:
        clipped *= clip_norm / norm * (1 - 1e-15)  # a hair less, so that rounding does not pass the bound
    return clipped


def draw_noise(size: int, deviation: float, *, key: bytes) -> NDArray[np.float64]:
    """Return independent Gaussian numbers of mean 0.

    Args:
        size: How many.
        deviation: Their standard deviation; 0 gives zeros.
        key: 32 bytes that nobody can guess; the same give the same numbers.
    """
    sequence = np.random.SeedSequence(int.from_bytes(key, "big"), pool_size=8)  # 8 words of 32 bits hold the whole key
    return np.random.Generator(np.random.PCG64DXSM(sequence)).normal(0.0, deviation, size)


def protect(
    update: Vector, privacy: Privacy, *, random: Callable[[int], bytes] = secrets.token_bytes
) -> NDArray[np.float64]:
    """Return an update as it may leave its site: clipped, and with noise (local differential privacy).

    Whatever is done to it afterwards (codings, error feedback, masks) costs no privacy. What is sent beside it does:
    numbers of examples, metrics and control variates are not protected.

    Args:
        update: Trained parameters minus those that training began from.
        privacy: As the task says.
        random: Returns that many bytes from a cryptographic source. Not the task's seed: who sends the task knows it,
            and could take the noise off again.

    Raises:
        DataError: a number is not finite.

    Example:
        ::

            update = protect(update, Privacy(clip_norm=1.0, noise_multiplier=0.5))

    Source: Dwork, Roth: The Algorithmic Foundations of Differential Privacy, 2014, section 3.5 and appendix A (the
    Gaussian mechanism); Abadi et al.: Deep Learning with Differential Privacy, CCS 2016 (clipping).
    """
    protected = clip(update, privacy.clip_norm)
    if privacy.noise_multiplier > 0:
        protected += draw_noise(len(protected), privacy.noise_multiplier * privacy.clip_norm, key=random(32))
    return protected


def _norm_of_extremes(numbers: NDArray[np.float64]) -> float:
    """Return the norm of numbers whose squares leave float64's range, or which are not finite."""
    largest = float(np.abs(numbers).max(initial=0.0))
    if not math.isfinite(largest):
        raise DataError("the update holds numbers that are not finite: its norm cannot be bounded")
    return largest * float(np.linalg.norm(numbers / largest)) if largest > 0 else 0.0
