"""Both workloads on Ray Serve."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from typing import Any

import orjson
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

# Room for a full batch and the next one; the default of 5 would never let a batch of 64 form.
OPTIONS: dict[str, Any] = {"num_replicas": 1, "max_ongoing_requests": 256, "ray_actor_options": {"num_cpus": 1}}


@serve.deployment(**OPTIONS)
class Echo:
    """Gives back what it got."""

    async def __call__(self, request: Request) -> Response:
        """Answer one request; a Response spares Ray's own encoder, which is slower."""
        value = orjson.loads(await request.body())
        return Response(orjson.dumps(value), media_type="application/json")


@serve.deployment(**OPTIONS)
class Classify:
    """Classifies a batch of images."""

    def __init__(self) -> None:
        from digits import Digits

        self._digits = Digits()

    # The default is 10 ms, which every request at one connection would wait.
    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def classify(self, images: list[list[float]]) -> list[int]:
        """Return the digit of each image."""
        return self._digits.classify(images)

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        value = orjson.loads(await request.body())
        return Response(orjson.dumps({"label": await self.classify(value["image"])}), media_type="application/json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    # Without the dashboard and without logs on the terminal, which cost processor time and answer nothing here.
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="warning")
    serve.start(
        http_options={"host": "127.0.0.1", "port": port},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    serve.run((Classify if os.environ["WORKLOAD"] == "digits" else Echo).bind())
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    os._exit(0)  # whoever started it ends the daemons; Ray's own shutdown took more than 15 s
