"""Measure cold starts: `python -m benchmarks.cold_start [--trials 100]`.

Method. A digit classifier (scikit-learn's logistic regression as ONNX, 64 numbers in, a label out) is deployed on an
embedded engine and left until it has no worker. One trial opens a connection, posts one image and waits for the answer;
the clock runs from the first byte sent to the last one received. After each trial the benchmark waits until there is no
worker again. The other arm starts the same classifier as a fresh Python process. The arms take turns, and every answer
is compared with the model's own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.measuring import facts, line, save, spread
from skerry.platforms.engine import EnginePlatform, start_engine

HERE = Path(__file__).parent
VERSIONS = ("skerry", "numpy", "onnxruntime", "scikit-learn", "uvloop", "pydantic")
BAR_MS = 25.0
BAR_RATIO = 10.0


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100, help="cold starts to measure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        images, labels = make_model(Path(folder, "digits.onnx"))
        os.environ["MODEL"] = str(Path(folder, "digits.onnx"))
        engine = start_engine(Path(folder, "home"), port=0, leashed=True)
        try:
            engine.platform.deploy(str(HERE / "app.py"))
            result = measure(engine.platform, engine.address, images, labels, arguments.trials)
        finally:
            engine.stop()
    report(result)
    print(f"written to {save('cold_start', result)}")
    return 0


def make_model(path: Path) -> tuple[list[list[float]], list[int]]:
    """Train the classifier, write it as ONNX, and return images with the labels that it gives them."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    pixels, digits = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype("float32")
    model = LogisticRegression(max_iter=500).fit(pixels, digits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter still reads attributes that scikit-learn is about to rename
        path.write_bytes(to_onnx(model, pixels[:1], target_opset=18, options={"zipmap": False}).SerializeToString())
    return pixels[:200].tolist(), model.predict(pixels[:200]).tolist()


def measure(
    platform: EnginePlatform, address: str, images: list[list[float]], labels: list[int], trials: int
) -> dict[str, Any]:
    """Run the trials, the two arms in turn."""
    cold_ms, fresh_ms = [], []
    for trial in range(trials):
        image, label = images[trial % len(images)], labels[trial % len(images)]
        wait_for_zero(platform)
        cold_ms.append(time_cold(address, image, label))
        fresh_ms.append(time_fresh(image, label))
    warm_ms = [time_cold(address, images[i % len(images)], labels[i % len(images)]) for i in range(trials)]
    phases = [e["phases_ms"] for e in platform.events(function="classify") if e["kind"] == "worker_ready"][-trials:]
    names = phases[0].keys()
    return {
        "facts": facts(VERSIONS),
        "cold_ms": spread(cold_ms),
        "fresh_process_ms": spread(fresh_ms),
        "warm_ms": spread(warm_ms),
        "ratio": spread([fresh / cold for fresh, cold in zip(fresh_ms, cold_ms, strict=True)]),
        "phases_ms": {name: spread([phase[name] for phase in phases]) for name in names},
        "samples": {"cold_ms": cold_ms, "fresh_process_ms": fresh_ms},
    }


def wait_for_zero(platform: EnginePlatform) -> None:
    """Wait until the function has no worker, and a moment more."""
    until = time.monotonic() + 30
    while sum(platform.function("classify")["workers"].values()):
        if time.monotonic() > until:
            raise RuntimeError("the function does not go to zero")
        time.sleep(0.02)
    time.sleep(0.1)


def time_cold(address: str, image: list[float], label: int) -> float:
    """Return the milliseconds from request to answer."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    connection.connect()
    body = json.dumps(image)
    began = time.perf_counter()
    connection.request("POST", "/function/classify", body, {"content-type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    took_ms = (time.perf_counter() - began) * 1000
    connection.close()
    if response.status != 200 or json.loads(answer) != label:
        raise RuntimeError(f"wrong answer: {response.status} {answer!r}, wanted {label}")
    return took_ms


def time_fresh(image: list[float], label: int) -> float:
    """Return the milliseconds from the start of a Python process to its answer."""
    began = time.perf_counter()
    process = subprocess.run(
        [sys.executable, str(HERE / "fresh.py"), os.environ["MODEL"]],
        input=json.dumps(image),
        capture_output=True,
        text=True,
        check=True,
    )
    took_ms = (time.perf_counter() - began) * 1000
    if int(process.stdout) != label:
        raise RuntimeError(f"wrong answer: {process.stdout!r}, wanted {label}")
    return took_ms


def report(result: dict[str, Any]) -> None:
    """Print the figures."""
    print(json.dumps(result["facts"], indent=2))
    print(line("cold: zero to answer over HTTP", result["cold_ms"], "ms"))
    print(line("fresh Python process", result["fresh_process_ms"], "ms"))
    print(line("warm request", result["warm_ms"], "ms"))
    print(line("fresh / cold, pair by pair", result["ratio"], "  "))
    for name, values in result["phases_ms"].items():
        print(line(f"  of a cold start: {name}", values, "ms"))
    met = result["cold_ms"]["median"] <= BAR_MS and result["ratio"]["median"] >= BAR_RATIO
    print(f"bar: median <= {BAR_MS:g} ms and at least {BAR_RATIO:g} times faster: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    sys.exit(main())
