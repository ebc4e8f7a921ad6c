"""The digit classifier on Skerry: batches of up to 64, with an objective instead of a wait."""

from __future__ import annotations

from typing_extensions import TypedDict

import skerry

app = skerry.App("serving-digits", imports=["numpy", "onnxruntime"])


class Picture(TypedDict):
    """Sixty-four grey values in [0, 1]."""

    image: list[float]


class Label(TypedDict):
    """A digit."""

    label: int


@app.function(batch=skerry.Batch(max_size=64, objective="50ms"))
class classify:
    """Images in, digits out, a batch at a time."""

    def load(self) -> None:
        """Read the model."""
        from digits import Digits  # in the worker alone

        self._digits = Digits()

    def __call__(self, images: skerry.Items[Picture]) -> list[Label]:
        """Return a label for each image."""
        return [{"label": label} for label in self._digits.classify([picture["image"] for picture in images])]
