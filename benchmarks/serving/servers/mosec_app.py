"""Both workloads on Mosec."""

from __future__ import annotations

import os
from typing import Any

import orjson
from mosec import Server, Worker


class Orjson(Worker):
    """Another codec, by the two methods that Mosec has for it."""

    def deserialize(self, data: bytes) -> Any:
        """Return the value of a request's body."""
        return orjson.loads(data)

    def serialize(self, data: Any) -> bytes:
        """Return an answer's body."""
        return orjson.dumps(data)


Base = Orjson if os.environ["CODEC"] == "orjson" else Worker


class Echo(Base):
    """Gives back what it got."""

    def forward(self, data: Any) -> Any:
        """Return the value."""
        return data


class Classify(Base):
    """Classifies a batch of images."""

    def __init__(self) -> None:
        super().__init__()
        from digits import Digits

        self._digits = Digits()

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, int]]:
        """Return a label for each image."""
        return [{"label": label} for label in self._digits.classify([value["image"] for value in data])]


if __name__ == "__main__":
    server = Server()
    if os.environ["WORKLOAD"] == "digits":
        # Mosec waits this out whenever a batch is not full. 1 ms is the least there is; the default of 10 ms gave a
        # fifth of the requests at 1 and at 32 connections, and no more at 128.
        server.append_worker(Classify, num=1, max_batch_size=64, max_wait_time=1)
    else:
        server.append_worker(Echo, num=1)
    server.run()
