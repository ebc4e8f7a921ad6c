"""Rollback and promotion under load: `python -m benchmarks.models.rollback [--rounds 20] [--rate 300]`.

Method. Two versions of one model, which answer differently, are pushed and served by their alias. Callers send
requests at a fixed rate (open loop, each caller on a connection of its own) and check that every answer is whole: its
version and its numbers belong together. Meanwhile the alias is promoted and rolled back in turn; the time from the
command's start to the first answer of the other version is taken. A failed or mixed answer is an error. (That a killed
engine comes back with the right version is tested in tests/e2e/test_models.py.)
"""

from __future__ import annotations

import argparse
import http.client
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.measuring import facts, line, save, spread
from benchmarks.models.making import WIDTH, make_network, quietly_pushed
from benchmarks.models.running import Served, serving

VERSIONS = ("skerry", "numpy", "onnxruntime")
CALLERS = 8
LEAST_RATE = 200.0  # requests/s that the callers must have sent, or the figures say nothing
BAR_S = 1.0
APP = """
import skerry

app = skerry.App("rollback", imports=("numpy", "onnxruntime"))
app.serve("network", model="network@production")
"""


class Callers:
    """Threads that ask at a fixed rate together, and keep what they were answered.

    Args:
        host: Where the engine answers.
        row: What they send.
        expected: Scores by version.
        rate: Requests per second of all together.
    """

    def __init__(self, host: str, row: list[float], expected: dict[str, Any], rate: float) -> None:
        self.answers: list[tuple[float, str, float]] = []  # when it came, its version, how long it took
        self.faults: list[str] = []
        self._body = orjson.dumps({"inputs": [{"name": "rows", "shape": [1, WIDTH], "datatype": "FP32", "data": row}]})
        self._host, self._expected = host, expected
        self._pause_s = CALLERS / rate
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask_all, args=(i,)) for i in range(CALLERS)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, version: str, since_s: float) -> float:
        """Return the seconds from a moment to the first answer of a version that was asked for after it."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            came = [at for at, said, took in self.answers[-4000:] if said == version and at - took >= since_s]
            if came:
                return min(came) - since_s
            time.sleep(0.002)
        raise RuntimeError(f"version {version} has not answered within 30 s")

    def _ask_all(self, number: int) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=30)
        due = time.monotonic() + number * self._pause_s / CALLERS
        while not self._stop.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            try:
                connection.request("POST", "/v2/models/network/infer", self._body, {"content-type": "application/json"})
                response = connection.getresponse()
                self._check(response.status, response.read(), began)
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(repr(error))
                connection.close()
            due += self._pause_s

    def _check(self, status: int, body: bytes, began: float) -> None:
        if status != 200:
            self.faults.append(f"{status} {body[:200]!r}")
            return
        answer = orjson.loads(body)
        version, scores = str(answer["model_version"]), answer["outputs"][0]["data"]
        if not np.allclose(scores, self._expected[version], atol=1e-4):
            self.faults.append(f"version {version} answered with the numbers of another one")
        now = time.monotonic()
        self.answers.append((now, version, now - began))


def main() -> int:
    """Run the benchmark; returns 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="promotions and rollbacks, each")
    parser.add_argument("--rate", type=float, default=300.0, help="requests per second")
    parser.add_argument("--no-save", action="store_true", help="do not write benchmarks/results/models_rollback.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skerry-") as name, serving(Path(name)) as served:
        result = {"facts": facts(VERSIONS), **run(Path(name), served, arguments.rounds, arguments.rate)}
    met = report(result)
    if not arguments.no_save:
        print(f"written to {save('models_rollback', result)}")
    return 0 if met else 1


def run(folder: Path, served: Served, rounds: int, rate: float) -> dict[str, Any]:
    """Push two versions, serve, and move the alias under load."""
    row = np.linspace(-1, 1, WIDTH, dtype=np.float32).reshape(1, WIDTH)
    expected: dict[str, Any] = {}
    for seed in (1, 2):
        file = folder / f"network-{seed}.onnx"
        file.write_bytes(make_network((256, 256), seed=seed))
        manifest = quietly_pushed("network", file, sample=row, repository=served.repository)
        expected[str(manifest.version)] = scores_of(file, row)
    served.repository.set_alias("network", "production", 1)
    app = folder / "rollback.py"
    app.write_text(APP)
    served.deploy(app)
    promoted_s, rolled_back_s = [], []
    began = time.monotonic()
    with Callers(served.host, row[0].tolist(), expected, rate) as callers:
        callers.wait_for("1", 0.0)
        for _ in range(rounds):
            at = time.monotonic()
            served.repository.set_alias("network", "production", 2, action="promote")
            promoted_s.append(callers.wait_for("2", at))
            time.sleep(0.5)
            at = time.monotonic()
            served.repository.rollback("network")
            rolled_back_s.append(callers.wait_for("1", at))
            time.sleep(0.5)
    took_s = time.monotonic() - began
    return {
        "requests": len(callers.answers),
        "rate": len(callers.answers) / took_s,
        "faults": callers.faults[:20],
        "fault_count": len(callers.faults),
        "took_ms": spread([took * 1000 for _, _, took in callers.answers]),
        "promote_s": spread(promoted_s),
        "rollback_s": spread(rolled_back_s),
    }


def scores_of(file: Path, row: np.ndarray[Any, Any]) -> Any:
    """Return what ONNX Runtime says to a row."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, {"rows": row})[0][0]


def report(result: dict[str, Any]) -> bool:
    """Print the figures and whether the bar is met."""
    print(f"{result['requests']} requests, {result['rate']:.0f}/s, {result['fault_count']} failed or mixed")
    for fault in result["faults"]:
        print(f"  {fault}")
    print(line("response time", result["took_ms"], "ms"))
    print(line("promote: to the first new answer", result["promote_s"], "s "))
    print(line("rollback: to the first old answer", result["rollback_s"], "s "))
    met = not result["fault_count"] and result["rate"] >= LEAST_RATE and result["rollback_s"]["max"] <= BAR_S
    bar = f"nothing failed or mixed, at least {LEAST_RATE:g}/s, back within {BAR_S:g} s"
    print(f"bar: {bar}: {'met' if met else 'MISSED'}")
    return met


if __name__ == "__main__":
    sys.exit(main())
