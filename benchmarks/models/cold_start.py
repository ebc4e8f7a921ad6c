"""From zero to the first prediction: `python -m benchmarks.models.cold_start [--trials 30]`.

Method. Three models (0.3, 10 and 100 MB of weights) are pushed, served by name on an embedded engine, and left until
nothing of them is in memory. One trial sends one row over HTTP and waits for the answer; the phases are what the worker
reports. In turn with it, a bare process opens the same file with ONNX Runtime and the same options: only the opening
and the first run are timed there, not the start of Python or the import. Every answer is compared with ONNX Runtime's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import facts, line, save, spread
from benchmarks.models.making import SIZES, WIDTH, make_network, quietly_pushed
from benchmarks.models.running import Served, serving

VERSIONS = ("skerry", "numpy", "onnxruntime")
BAR_SMALL_MS = 25.0
BAR_LARGE_RATIO = 1.5
OPENING = Path(__file__).parent / "opening.py"


def main() -> int:
    """Run the benchmark; returns 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30, help="cold starts of each model")
    parser.add_argument("--no-save", action="store_true", help="do not write benchmarks/results/models_cold_start.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skerry-") as name:
        folder = Path(name)
        os.environ["BENCHMARK_MODELS"] = " ".join(SIZES)
        with serving(folder) as served:
            result = {"facts": facts(VERSIONS), "models": measure(folder, served, arguments.trials)}
    met = report(result["models"])
    if not arguments.no_save:
        print(f"written to {save('models_cold_start', result)}")
    return 0 if met else 1


def measure(folder: Path, served: Served, trials: int) -> dict[str, Any]:
    """Push the models, deploy, and measure the two arms in turn."""
    row = np.linspace(-1, 1, WIDTH, dtype=np.float32).reshape(1, WIDTH)
    files, expected = {}, {}
    for size, hidden in SIZES.items():
        files[size] = folder / f"{size}.onnx"
        files[size].write_bytes(make_network(hidden))
        quietly_pushed(size, files[size], sample=row, alias="production", repository=served.repository)
        expected[size] = scores(files[size], row)
    served.deploy()
    found: dict[str, Any] = {}
    for size in SIZES:
        cold_ms, open_ms, bare_ms = [], [], []
        for _ in range(trials):
            served.wait_for_zero(size)
            began = time.perf_counter()
            answer = served.ask(size, row)
            cold_ms.append((time.perf_counter() - began) * 1000)
            if not np.allclose(answer, expected[size], atol=1e-5):
                raise RuntimeError(f"{size}: wrong answer")
            opening, first = bare(files[size])
            open_ms.append(opening)
            bare_ms.append(opening + first)
        phases = served.phases(size)[-trials:]
        found[size] = {
            "bytes": files[size].stat().st_size,
            "cold_ms": spread(cold_ms),
            "bare_open_ms": spread(open_ms),
            "bare_open_and_run_ms": spread(bare_ms),
            "ratio": spread([cold / opening for cold, opening in zip(cold_ms, open_ms, strict=True)]),
            "phases_ms": {phase: spread([one.get(phase, 0.0) for one in phases]) for phase in phases[0]},
        }
    return found


def scores(file: Path, row: np.ndarray[Any, Any]) -> Any:
    """Return what ONNX Runtime says to a row."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, {"rows": row})[0]


def bare(file: Path) -> tuple[float, float]:
    """Return the milliseconds that a bare process needs to open a model, and to run it for the first time."""
    said = subprocess.run([sys.executable, str(OPENING), str(file)], capture_output=True, text=True, check=True)
    opening, first = said.stdout.split()
    return float(opening) * 1000, float(first) * 1000


def report(models: dict[str, Any]) -> bool:
    """Print the figures and whether the bars are met."""
    for size, figures in models.items():
        print(f"{size}: {figures['bytes'] / 1e6:.1f} MB")
        print(line("  zero to answer over HTTP", figures["cold_ms"], "ms"))
        print(line("  bare process: open", figures["bare_open_ms"], "ms"))
        print(line("  bare process: open and run", figures["bare_open_and_run_ms"], "ms"))
        print(line("  cold / open, pair by pair", figures["ratio"], "  "))
        for phase, values in figures["phases_ms"].items():
            print(line(f"    {phase}", values, "ms"))
    small = models["small"]["cold_ms"]["median"] <= BAR_SMALL_MS
    large = models["large"]["ratio"]["median"] <= BAR_LARGE_RATIO
    print(f"bar: small model, median <= {BAR_SMALL_MS:g} ms: {'met' if small else 'MISSED'}")
    print(f"bar: large model, at most {BAR_LARGE_RATIO:g} times the opening: {'met' if large else 'MISSED'}")
    return small and large


if __name__ == "__main__":
    sys.exit(main())
