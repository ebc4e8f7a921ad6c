"""Both workloads on BentoML."""

from __future__ import annotations

import os
from typing import Any

import bentoml
from typing_extensions import TypedDict

# Functions are asynchronous because BentoML hands others to a thread, which takes longer than they do.
OPTIONS: dict[str, Any] = {"workers": 1, "logging": {"access": {"enabled": False}}}


class Picture(TypedDict):
    """Sixty-four grey values in [0, 1]."""

    image: list[float]


class Label(TypedDict):
    """A digit."""

    label: int


if os.environ["WORKLOAD"] == "digits":

    @bentoml.service(**OPTIONS)
    class Service:
        """Classifies a batch of images."""

        def __init__(self) -> None:
            from digits import Digits

            self._digits = Digits()

        # The batcher learns how long to wait. With a max_latency_ms of 50 it answered some requests with 503 under
        # load; 1,000 was no faster than the default of 60,000.
        @bentoml.api(route="/run", batchable=True, max_batch_size=64)
        async def classify(self, images: list[Picture], /) -> list[Label]:
            """Return a label for each image."""
            return [{"label": label} for label in self._digits.classify([picture["image"] for picture in images])]
else:

    @bentoml.service(**OPTIONS)
    class Service:
        """Gives back what it got."""

        @bentoml.api(route="/run")
        async def echo(self, value: dict[str, Any], /) -> dict[str, Any]:
            """Return the value."""
            return value
