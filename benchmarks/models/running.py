"""An engine that serves models from a folder of its own, and how the benchmarks ask it."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from skerry.platforms.engine import EnginePlatform, start_engine
from skerry.store.models import ModelRepository
from skerry.store.objects import open_store

APP = Path(__file__).parent / "app.py"
WAIT_S = 60.0


class Served:
    """An engine with models.

    Args:
        platform: The engine.
        address: Where it answers.
        repository: Where it finds its models.
    """

    def __init__(self, platform: EnginePlatform, address: str, repository: ModelRepository) -> None:
        self.platform = platform
        self.repository = repository
        self.host = address.removeprefix("http://")

    def deploy(self, app: Path = APP, *flags: str) -> None:
        """Deploy an app that serves models."""
        self.platform.deploy(str(app), flags=flags)

    def wait_for_zero(self, name: str) -> None:
        """Wait until a function has no worker, and a moment more.

        Raises:
            RuntimeError: it still has one after a minute.
        """
        until = time.monotonic() + WAIT_S
        while sum(self.platform.function(name)["workers"].values()):
            if time.monotonic() > until:
                raise RuntimeError(f"{name} does not go to zero")
            time.sleep(0.02)
        time.sleep(0.1)

    def phases(self, name: str) -> list[dict[str, float]]:
        """Return the phases of the starts of a function's workers, in milliseconds, oldest first."""
        events = self.platform.events(function=name)
        return [event["phases_ms"] for event in events if event["kind"] == "worker_ready"]

    def ask(self, model: str, rows: np.ndarray[Any, Any], *, name: str = "rows") -> Any:
        """Send rows as a binary tensor of the Open Inference Protocol; return the first output.

        Args:
            model: The function that serves it.
            rows: float32 or uint8; the first dimension is the batch.
            name: The model's input.
        """
        head = orjson.dumps(
            {
                "inputs": [
                    {
                        "name": name,
                        "shape": list(rows.shape),
                        "datatype": {"float32": "FP32", "uint8": "UINT8"}[rows.dtype.name],
                        "parameters": {"binary_data_size": rows.nbytes},
                    }
                ],
                "parameters": {"binary_data_output": True},
            }
        )
        headers = {
            "content-type": "application/octet-stream",
            "inference-header-content-length": str(len(head)),
        }
        response, body = self.post(f"/v2/models/{model}/infer", head + rows.tobytes(), headers)
        length = int(response.headers["inference-header-content-length"])
        output = orjson.loads(body[:length])["outputs"][0]
        return np.frombuffer(body[length:], dtype=np.float32).reshape(output["shape"])

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        """Post a body over a connection of its own.

        Raises:
            RuntimeError: the answer is no 200.
        """
        connection = http.client.HTTPConnection(self.host, timeout=WAIT_S)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {answer[:500]!r}")
        return response, answer


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Run an engine whose models, cache and records are in a folder."""
    os.environ["SKERRY_MODELS"] = str(folder / "models")
    os.environ["SKERRY_MODEL_CACHE"] = str(folder / "cache")
    repository = ModelRepository(open_store(str(folder / "models")))
    engine = start_engine(folder / "home", port=0, leashed=True)
    try:
        yield Served(engine.platform, engine.address, repository)
    finally:
        engine.stop()
