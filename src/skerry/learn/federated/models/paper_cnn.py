"""The CNN of paper 003 in NumPy: 317,066 parameters, trained within the memory that a small function has.

Two convolutions of 5x5 without padding (32 and 64 channels), each followed by 2x2 max-pooling, a dense layer of 256 and
one of 10; a quarter is dropped after the first pooling and before the last layer.

Source: Bac, Tran, Kim: Serverless Computing Approach for Deploying Machine Learning Applications in Edge Layer, ICOIN
2022, table 1; that says "dropout" twice, and nothing of the optimiser, which is gradient descent with momentum here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError, SpecError
from skerry.learn.federated.models.network import CLASSES, LAYOUT, SIDE, Network

Parameters = dict[str, NDArray[Any]]
Images = NDArray[np.uint8]
Labels = NDArray[np.integer[Any]]

ROWS = 32
"""Images that are looked at together where nothing is learnt: more need more memory and are not faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a client trains.

    Args:
        epochs: How often it goes through its images, at least 1.
        learning_rate: Step per gradient, above 0.
        momentum: Share of the last step that is added to the next, in [0, 1).
        batch: Images per step, at least 1; memory grows with it.
        seed: Of the order of images and of what is dropped.
        dropout: Whether a quarter is dropped, as in the paper.
        proximal: FedProx's mu, at least 0: pulls back to the parameters that training began from.
        correction: Added to each gradient: SCAFFOLD's control variate of the server minus the client's; by name.

    Raises:
        SpecError: a setting is out of range.
    """

    epochs: int = 1
    learning_rate: float = 0.05
    momentum: float = 0.9
    batch: int = 32
    seed: int = 0
    dropout: bool = True
    proximal: float = 0.0
    correction: Mapping[str, NDArray[Any]] | None = None

    def __post_init__(self) -> None:
        for name, sound, expected in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "a number above 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("proximal", 0 <= self.proximal < math.inf, "a number that is at least 0"),
        ):
            if not sound:
                raise SpecError(f"training: {name} is {getattr(self, name)!r}; expected {expected}", field=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of training.

    Args:
        parameters: The new ones, by name.
        steps: Optimiser steps that were taken.
        loss: Mean cross-entropy of the images in the last epoch, as they were trained on.
    """

    parameters: Parameters
    steps: int
    loss: float


def start(seed: int) -> Parameters:
    """Return fresh parameters: uniform after Glorot and Bengio (2010), as TensorFlow does, and no bias.

    Args:
        seed: The same gives the same parameters.

    Example:
        >>> sum(array.size for array in start(0).values())
        317066
    """
    random = np.random.default_rng(seed)
    parameters: Parameters = {}
    for tensor in LAYOUT.tensors:
        if len(tensor.shape) == 1:
            parameters[tensor.name] = np.zeros(tensor.shape, np.float32)
            continue
        field = int(np.prod(tensor.shape[2:]))
        reach = np.sqrt(6 / (field * (tensor.shape[0] + tensor.shape[1])))
        parameters[tensor.name] = random.uniform(-reach, reach, tensor.shape).astype(np.float32)
    return parameters


def fit(parameters: Mapping[str, NDArray[Any]], images: Images, labels: Labels, training: Training) -> Trained:
    """Train on a client's images: gradient descent with momentum on the mean cross-entropy.

    The same arguments give the same bits on the same machine with one thread.

    Args:
        parameters: As `start` returns them; not changed.
        images: Shape (n, 28, 28), uint8; converted batch by batch.
        labels: Shape (n,), integers from 0 to 9.
        training: How.

    Raises:
        DataError: images, labels or parameters have other shapes or dtypes, or there are none.
    """
    _check(images, labels)
    vector = LAYOUT.join(parameters)
    begin = vector.copy() if training.proximal else None
    correction = None if training.correction is None else LAYOUT.join(training.correction)
    network = Network(vector, min(training.batch, len(images)))
    random = np.random.default_rng(training.seed)
    velocity, step = np.zeros_like(vector), np.empty_like(vector)
    steps, loss = 0, 0.0
    for _ in range(training.epochs):
        order, loss = random.permutation(len(images)), 0.0
        for first in range(0, len(order), training.batch):
            chosen = order[first : first + training.batch]
            logits = network.forward(images[chosen], random if training.dropout else None)
            losses, gradient = _cross_entropy(logits, labels[chosen])
            loss += float(losses.sum())
            network.backward(gradient)
            if begin is not None:
                np.subtract(vector, begin, out=step)
                step *= training.proximal
                network.gradient += step
            if correction is not None:
                network.gradient += correction
            velocity *= training.momentum
            velocity += network.gradient
            vector -= np.multiply(velocity, training.learning_rate, out=step)
            steps += 1
        loss /= len(images)
    return Trained(parameters=LAYOUT.split(vector), steps=steps, loss=loss)


def evaluate(parameters: Mapping[str, NDArray[Any]], images: Images, labels: Labels) -> tuple[float, float]:
    """Return the share of images that are recognised, in [0, 1], and the mean cross-entropy.

    Args:
        parameters: As `start` returns them.
        images: Shape (n, 28, 28), uint8.
        labels: Shape (n,), integers from 0 to 9.

    Raises:
        DataError: as in `fit`.
    """
    _check(images, labels)
    right, loss, first = 0, 0.0, 0
    for logits in _each_batch(parameters, images):
        truth = labels[first : first + logits.shape[1]]
        right += int((logits.argmax(axis=0) == truth).sum())
        loss += float(_cross_entropy(logits, truth)[0].sum())
        first += logits.shape[1]
    return right / len(images), loss / len(images)


def predict(parameters: Mapping[str, NDArray[Any]], images: Images) -> NDArray[np.float32]:
    """Return the probability of each digit, shape (n, 10), float32.

    Args:
        parameters: As `start` returns them.
        images: Shape (n, 28, 28), uint8.

    Raises:
        DataError: images or parameters have other shapes or dtypes, or there are no images.
    """
    _check_images(images)
    return np.concatenate([_softmax(logits).T for logits in _each_batch(parameters, images)])


def _each_batch(parameters: Mapping[str, NDArray[Any]], images: Images) -> Iterator[NDArray[np.float32]]:
    network = Network(LAYOUT.join(parameters), min(ROWS, len(images)))
    for first in range(0, len(images), ROWS):
        yield network.forward(images[first : first + ROWS])


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers: NDArray[np.float32] = np.exp(logits - logits.max(axis=0))
    powers /= powers.sum(axis=0)
    return powers


def _cross_entropy(logits: NDArray[np.float32], labels: Labels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the loss of each image, and the gradient of their mean."""
    gradient = _softmax(logits)
    places = (labels, np.arange(len(labels)))
    losses: NDArray[np.float32] = -np.log(np.maximum(gradient[places], np.finfo(np.float32).tiny))
    gradient[places] -= 1
    gradient /= len(labels)
    return losses, gradient


def _check(images: Images, labels: Labels) -> None:
    _check_images(images)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise DataError(f"labels are {labels.dtype} {labels.shape}; expected integers ({len(images)},), one per image")
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise DataError(f"labels go from {labels.min()} to {labels.max()}; expected digits from 0 to {CLASSES - 1}")


def _check_images(images: Images) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise DataError(f"images are {images.dtype} {images.shape}; expected uint8 (n, {SIDE}, {SIDE}), at least one")
