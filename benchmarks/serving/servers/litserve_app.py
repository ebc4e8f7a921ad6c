"""Both workloads on LitServe, which reads annotations itself and does not resolve postponed ones."""

import argparse
import os
from typing import Any

import litserve


class Echo(litserve.LitAPI):
    """Gives back what it got."""

    def setup(self, device: str) -> None:
        """Prepare nothing."""

    def predict(self, value: Any) -> Any:
        """Return the value."""
        return value


class Classify(litserve.LitAPI):
    """Classifies a batch of images."""

    def setup(self, device: str) -> None:
        """Read the model."""
        from digits import Digits

        self._digits = Digits()

    def decode_request(self, request: dict) -> list[float]:
        """Return one image."""
        image: list[float] = request["image"]
        return image

    def batch(self, inputs: list[list[float]]) -> list[list[float]]:
        """Return the images as they are: the model takes a list."""
        return inputs

    def predict(self, images: list[list[float]]) -> list[int]:
        """Return the digit of each image."""
        return self._digits.classify(images)

    def unbatch(self, output: list[int]) -> list[int]:
        """Return the digits as they are."""
        return output

    def encode_response(self, output: int) -> dict[str, int]:
        """Return the answer to one request."""
        return {"label": output}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    # Of 0 (LitServe then asks its queue without a pause), 1 and 5 ms, 1 ms was the best at one connection and as good
    # as the others above.
    api = Classify(max_batch_size=64, batch_timeout=0.001) if os.environ["WORKLOAD"] == "digits" else Echo()
    # fast_queue: ZeroMQ, for "hundreds of requests per second"; one API server and one worker, as for all.
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, log_level="warning", generate_client_file=False)
