"""The serving curve of paper 003, figure 7: `python -m benchmarks.models.paper_003 [--trials 10]`.

Method. The network of the paper (317,066 parameters), trained for a moment on MNIST, is pushed from PyTorch and served
by name with the paper's limits for its serving function: 100 MB of memory, enforced by the engine, and 0.4 processors,
enforced by a control group that holds the process from which workers are forked, and so all of them (the front is
outside, as the paper's ingress was). A request has 1 to 10,000 test images as one binary tensor. Cold: nothing of the
function is in memory when it is sent. Warm: five after each cold one, each as soon as the one before it is answered;
what the processor's share of a tenth of a second does not allow is part of their time. The labels of every answer are
compared with those of ONNX Runtime without limits. The paper's figures are read off its text: below 500 images about
0.3 s warm and 5 s cold.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import facts, line, save, spread
from benchmarks.models.making import quietly_pushed, read_mnist, train_paper_network
from benchmarks.models.running import Served, serving
from skerry.store.models import ModelCache

VERSIONS = ("skerry", "numpy", "onnxruntime", "torch")
IMAGES = (1, 10, 100, 500, 1_000, 5_000, 10_000)
GROUPS = Path("/sys/fs/cgroup/cpu")
PERIOD_US = 100_000
CPUS = 0.4
MEMORY = "100MB"
WARM_IN_A_ROW = 5
PAPER_S = {"warm": 0.3, "cold": 5.0}
PAPER_BELOW = 500
BAR_RATIO = 10.0
APP = """
import skerry

app = skerry.App("paper", imports=("numpy", "onnxruntime"))
app.serve(
    "mnist", model="mnist@production", memory="{memory}", cpu={cpus}, max_body="100MB", timeout="300s",
    scale=skerry.Scale(initial=0, max=1, window="1s", grace="1s"),
)
"""


def main() -> int:
    """Run the benchmark; returns 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10, help="requests of each size that find nothing in memory")
    parser.add_argument("--no-save", action="store_true", help="do not write benchmarks/results/models_paper_003.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skerry-") as name:
        result = {"facts": facts(VERSIONS), **run(Path(name), arguments.trials)}
    met = report(result)
    if not arguments.no_save:
        print(f"written to {save('models_paper_003', result)}")
    return 0 if met else 1


def run(folder: Path, trials: int) -> dict[str, Any]:
    """Train, push, serve under the limits and measure."""
    images, truth = read_mnist(max(IMAGES))
    app = folder / "paper.py"
    app.write_text(APP.format(memory=MEMORY, cpus=CPUS))
    with throttled(CPUS) as throttle, serving(folder) as served:
        manifest = quietly_pushed(
            "mnist", train_paper_network(), sample=images[:4], alias="production", repository=served.repository
        )
        cached = ModelCache(folder / "reference", limit_bytes=None).fetch(served.repository, manifest)
        expected = labels_of(cached / "model.onnx", images)
        served.deploy(app)
        throttle(zygotes(served.platform.engine()["pid"]))
        found: dict[str, Any] = {}
        for count in IMAGES:
            cold_ms, warm_ms = [], []
            for _ in range(trials):
                served.wait_for_zero("mnist")
                cold_ms.append(timed(served, manifest, images[:count], expected[:count]))
                for _ in range(WARM_IN_A_ROW):
                    warm_ms.append(timed(served, manifest, images[:count], expected[:count]))
            found[str(count)] = {"cold_ms": spread(cold_ms), "warm_ms": spread(warm_ms)}
    return {
        "limits": {"memory": MEMORY, "processors": CPUS, "group": str(GROUPS)},
        "accuracy": float((expected == truth).mean()),
        "images": found,
    }


def timed(served: Served, manifest: Any, images: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Return the milliseconds from request to answer.

    Raises:
        RuntimeError: a label is wrong.
    """
    began = time.perf_counter()
    answer = served.ask("mnist", images, name=manifest.inputs[0].name)
    took_ms = (time.perf_counter() - began) * 1000
    if not np.array_equal(answer.argmax(axis=1), expected):
        raise RuntimeError(f"wrong labels for {len(images)} images")
    return took_ms


def labels_of(file: Path, images: np.ndarray[Any, Any]) -> Any:
    """Return the labels that ONNX Runtime gives without limits, a thousand images at a time."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: images[i : i + 1000]})[0].argmax(axis=1) for i in range(0, len(images), 1000)]
    return np.concatenate(parts)


def zygotes(engine: int) -> list[int]:
    """Return the processes from which an engine forks workers."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):  # it has just ended
                continue
            if parent == engine:
                found.append(int(folder.name))
    return found


@contextmanager
def throttled(cpus: float) -> Iterator[Any]:
    """Make a control group with so many processors; yields what puts processes into it.

    Raises:
        PermissionError: only root may do that.
    """
    group = GROUPS / f"skerry-benchmark-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(int(PERIOD_US * cpus)))

        def throttle(processes: list[int]) -> None:
            for process in processes:
                with suppress(ProcessLookupError):  # a worker of the trial that has just ended
                    (group / "cgroup.procs").write_text(str(process))

        yield throttle
    finally:
        group.rmdir()  # what was in it has ended with the engine


def report(result: dict[str, Any]) -> bool:
    """Print the figures and whether the bar is met."""
    print(f"accuracy of the model: {result['accuracy']:.3f}")
    met = True
    for count, figures in result["images"].items():
        for kind, paper_s in PAPER_S.items():
            values = figures[f"{kind}_ms"]
            print(line(f"{count} images, {kind}", values, "ms"))
            if int(count) < PAPER_BELOW:
                ratio = paper_s * 1000 / values["median"]
                met = met and ratio >= BAR_RATIO
                print(f"    the paper's {paper_s:g} s are {ratio:.1f} times as long")
    print(f"bar: below {PAPER_BELOW} images {BAR_RATIO:g} times shorter, cold and warm: {'met' if met else 'MISSED'}")
    return met


if __name__ == "__main__":
    sys.exit(main())
