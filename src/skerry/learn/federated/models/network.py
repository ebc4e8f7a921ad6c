"""One batch through paper 003's network, forward and backward, in buffers that are made once."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from skerry.learn.federated.models.convolution import KERNEL, Block, Convolution, pooled_side, rectify
from skerry.learn.federated.wire.parameters import Layout, TensorLayout, Vector

SIDE = 28
CLASSES = 10
CHANNELS = (32, 64)
HIDDEN = 256
MIDDLE = pooled_side(SIDE)
LAST = pooled_side(MIDDLE)
FLAT = CHANNELS[1] * LAST * LAST
MEAN, DEVIATION = 0.1307 * 255, 0.3081 * 255
"""Of MNIST's pixels, 0 to 255."""
DROPPED = 64
"""Of 256 values: paper 003 drops a quarter."""
SCALE = 256 / (256 - DROPPED)
"""What the others are multiplied with, so that the mean stays."""

LAYOUT = Layout(
    tensors=tuple(
        TensorLayout(name=name, dtype="float32", shape=shape)
        for name, shape in (
            ("conv1.weight", (CHANNELS[0], 1, KERNEL, KERNEL)),
            ("conv1.bias", (CHANNELS[0],)),
            ("conv2.weight", (CHANNELS[1], CHANNELS[0], KERNEL, KERNEL)),
            ("conv2.bias", (CHANNELS[1],)),
            ("dense1.weight", (HIDDEN, FLAT)),
            ("dense1.bias", (HIDDEN,)),
            ("dense2.weight", (CLASSES, HIDDEN)),
            ("dense2.bias", (CLASSES,)),
        )
    )
)
"""Names and shapes are those that PyTorch's layers have, so that parameters can be exchanged."""


class Network:
    """The network, with room for one batch.

    Args:
        vector: All parameters as `LAYOUT` orders them, float32; changes to it are changes to the network.
        rows: Most images in a batch, at least 1.
    """

    def __init__(self, vector: Vector, rows: int) -> None:
        self.gradient: Vector = np.zeros(LAYOUT.size, np.float32)
        self._of = LAYOUT.split(vector)
        self._gradient_of = LAYOUT.split(self.gradient)
        self._images: Block = np.zeros((1, SIDE, SIDE, rows), np.float32)
        self._first = Convolution(self._images, CHANNELS[0])
        self._second = Convolution(self._first.out, CHANNELS[1])
        self._flat = self._second.out.reshape(FLAT, rows)
        self._hidden: Block = np.empty((HIDDEN, rows), np.float32)
        self._scale = 1.0

    def forward(self, images: NDArray[np.uint8], dropout: Generator | None = None) -> Block:
        """Return the logits of images, shape (10, images).

        Args:
            images: Shape (n, 28, 28), uint8; n at most the rows of a batch.
            dropout: Where to draw what is dropped from; none to use everything.
        """
        of, count = self._of, len(images)
        self._images[0, ..., :count] = images.transpose(1, 2, 0)
        self._images[0, ..., count:] = 0
        self._images -= MEAN
        self._images *= 1 / DEVIATION
        self._first.forward(of["conv1.weight"], of["conv1.bias"])
        if dropout is not None:
            drop(self._first.out, dropout)
        self._second.forward(of["conv2.weight"], of["conv2.bias"])
        np.matmul(of["dense1.weight"], self._flat, out=self._hidden)
        rectify(self._hidden, of["dense1.bias"])
        if dropout is not None:
            drop(self._hidden, dropout)
        self._scale = 1.0 if dropout is None else SCALE
        logits: Block = of["dense2.weight"] @ self._hidden
        logits += of["dense2.bias"][:, None]
        return logits[:, :count]

    def backward(self, logits: Block) -> None:
        """Write to ``gradient`` how the loss changes with each parameter.

        Args:
            logits: How the loss changes with each logit of the last `forward`, shape (10, images).
        """
        of, to = self._of, self._gradient_of
        count = logits.shape[1]
        hidden, flat = self._hidden[:, :count], self._flat[:, :count]
        np.matmul(logits, hidden.T, out=to["dense2.weight"])
        np.sum(logits, axis=1, out=to["dense2.bias"])
        back = of["dense2.weight"].T @ logits
        back *= hidden > 0  # what was dropped is 0 as well
        back *= self._scale
        np.matmul(back, flat.T, out=to["dense1.weight"])
        np.sum(back, axis=1, out=to["dense1.bias"])
        second = np.zeros_like(self._second.out)  # rows beyond the images that were given add nothing
        np.matmul(of["dense1.weight"].T, back, out=second.reshape(FLAT, -1)[:, :count])
        first = np.zeros_like(self._first.out)
        self._second.backward(second, to["conv2.weight"], to["conv2.bias"])
        self._second.spread(of["conv2.weight"], first)
        first *= self._scale
        self._first.backward(first, to["conv1.weight"], to["conv1.bias"])


def drop(values: Block, random: Generator) -> None:
    """Replace a quarter of the values by 0, and make the others so much larger that the mean stays.

    Args:
        values: Changed.
        random: A byte of it decides on each value.
    """
    drawn = random.bit_generator.random_raw(-(-values.size // 8)).view(np.uint8)[: values.size]
    values *= (drawn >= DROPPED).reshape(values.shape)
    values *= SCALE
