"""5x5 convolutions without padding and 2x2 max-pooling, as matrix products over windows.

The images of a batch are the last axis of every array: copies and sums then run over contiguous memory.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Block = NDArray[np.float32]

KERNEL = 5


def pooled_side(side: int) -> int:
    """Return the side of an image after convolution and pooling.

    Args:
        side: Before, in pixels; convolution leaves an even number.
    """
    return (side - KERNEL + 1) // 2


class Convolution:
    """A convolution, its pooling and the rectifier behind it, for one batch.

    Rectifying after pooling gives the same and is a quarter of the work.

    Args:
        images: Where the input will be, shape (channels, side, side, rows).
        channels: Of the output.
    """

    def __init__(self, images: Block, channels: int) -> None:
        before, side, _, rows = images.shape
        reach, pooled = side - KERNEL + 1, pooled_side(side)
        self.out: Block = np.empty((channels, pooled, pooled, rows), np.float32)
        self._seen = _windows(images)
        self._windows: Block = np.empty(self._seen.shape, np.float32)
        self._columns = self._windows.reshape(before * KERNEL * KERNEL, -1)
        self._full: Block = np.empty((channels, reach, reach, rows), np.float32)
        self._pool = _Pool(self._full)

    def forward(self, weight: Block, bias: Block) -> None:
        """Write to ``out`` what comes of the images, shape (channels, pooled side, pooled side, rows)."""
        np.copyto(self._windows, self._seen)
        np.matmul(_flat(weight), self._columns, out=_flat(self._full))
        self._pool.forward(self.out)
        rectify(_flat(self.out), bias)

    def backward(self, gradient: Block, weight: Block, bias: Block) -> None:
        """Write the gradients of weight and bias.

        Args:
            gradient: Of ``out``, in its shape; changed.
            weight: Where to write, shape (channels, channels before, 5, 5).
            bias: Where to write, shape (channels,).
        """
        gradient *= self.out > 0
        np.sum(_flat(gradient), axis=1, out=bias)  # pooling hands on all of it
        self._pool.backward(gradient)
        _flat(weight)[:] = (self._columns @ _flat(self._full).T).T  # faster than the product the other way round

    def spread(self, weight: Block, images: Block) -> None:
        """Add the gradient of the input to ``images``; after `backward`.

        It goes by rows of the kernel, so that what is added is still in the processor's cache.
        """
        channels, before = weight.shape[:2]
        reach = self._full.shape[1]
        by_row = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(KERNEL, KERNEL * before, channels)
        part: Block = np.empty((KERNEL, before, *self._full.shape[1:]), np.float32)
        for i in range(KERNEL):
            np.matmul(by_row[i], _flat(self._full), out=part.reshape(KERNEL * before, -1))
            for j in range(KERNEL):
                images[:, i : i + reach, j : j + reach] += part[j]


class _Pool:
    """The largest of each 2x2 square, and the way back to where it was: rows first, then columns."""

    def __init__(self, full: Block) -> None:
        channels, reach, _, rows = full.shape
        half = reach // 2
        self._upper, self._lower = full[:, 0::2], full[:, 1::2]
        self._pair: Block = np.empty((channels, half, reach, rows), np.float32)
        self._left, self._right = self._pair[:, :, 0::2], self._pair[:, :, 1::2]

    def forward(self, out: Block) -> None:
        np.maximum(self._upper, self._lower, out=self._pair)
        np.maximum(self._left, self._right, out=out)

    def backward(self, gradient: Block) -> None:
        """Replace what was pooled by its gradient; of equals the first gets it."""
        _share(gradient, self._left, self._right)
        _share(self._pair, self._upper, self._lower)


def rectify(values: Block, bias: Block) -> None:
    """Add a bias per channel to values of shape (channels, n), and replace what is negative by 0."""
    values += bias[:, None]
    np.maximum(values, 0, out=values)


def _windows(images: Block) -> Block:
    """Return a view of all windows: (channels, 5, 5, reach, reach, rows); elements overlap, so only to be read."""
    channels, side, _, rows = images.shape
    reach = side - KERNEL + 1
    channel, down, right, row = images.strides
    return as_strided(
        images,
        shape=(channels, KERNEL, KERNEL, reach, reach, rows),
        strides=(channel, down, right, down, right, row),
        writeable=False,
    )


def _share(gradient: Block, one: Block, other: Block) -> None:
    wins = one >= other
    np.multiply(gradient, wins, out=one)
    np.subtract(gradient, one, out=other)


def _flat(values: Block) -> Block:
    return values.reshape(len(values), -1)
