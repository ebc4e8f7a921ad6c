"""Measure what `share_load` saves: `python -m benchmarks.models.sharing [--rounds 10] [--cycles 100] [--workers 10]`.

Method. A model of 100 MB (five float32 matrix products, written with `onnx.helper`) is served by ONNX Runtime with one
thread. The benchmark is the front: it has a real zygote with NumPy and ONNX Runtime imported, and one worker pool for
each of two functions of the same class, of which one shares its load. A round has 1, 2, 4 and all workers, one after
the other: the clock runs from the order to the greeting of the last new worker; then every worker runs the model; then
the proportional set sizes (each page counted once) of the workers and their template are added up. The arms take turns,
and all answers must be equal. Then each arm goes from 0 to 1 worker, through one call, and back to 0 again and again;
before and after, the memory of front and zygote, the number of processes and of the front's descriptors are noted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import facts, line, save, spread
from skerry.runtime.call import Call
from skerry.runtime.confinement import become_subreaper, share_bytes
from skerry.runtime.contract import parse_target
from skerry.runtime.frames import Codec, Frame, Kind
from skerry.runtime.nursery import Nursery
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.serving import worker_target
from skerry.spec import FunctionSpec

APP = Path(__file__).with_name("sharing_app.py")
VERSIONS = ("skerry", "numpy", "onnx", "onnxruntime", "uvloop")
ARMS = ("own", "shared")
LAYERS = 5
WIDTH = 2240  # five square matrices of it are 100 MB
WAIT_S = 120.0
STEPS = (1, 2, 4)  # and all
BAR_COPIES = 2.0  # memory of all workers, in copies of the model
BAR_SECOND_RATIO = 0.2  # start of the second worker to start of the first
BAR_GROWTH_RATIO = 0.05  # of the memory of front and zygote, over all cycles


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each arm")
    parser.add_argument("--cycles", type=int, default=100, help="times that each arm goes from zero to one and back")
    parser.add_argument("--workers", type=int, default=10, help="workers of each arm, at least 5")
    arguments = parser.parse_args()
    become_subreaper()
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        model = Path(folder, "model.onnx")
        make_model(model)
        result = asyncio.run(measure(model, arguments.rounds, arguments.cycles, arguments.workers))
        result["model_bytes"] = model.stat().st_size
    report(result)
    print(f"written to {save('sharing', result)}")
    return 0


def make_model(path: Path) -> None:
    """Write a model of `LAYERS` matrix products whose weights are random."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = [random.standard_normal((WIDTH, WIDTH), dtype="f4") / WIDTH**0.5 for _ in range(LAYERS)]
    nodes = [helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"]) for i in range(LAYERS)]
    ends = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, [1, WIDTH]) for i in (0, LAYERS)]
    named = [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], named)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())


class Arm:
    """One function's pool.

    Args:
        name: The function's name.
        nursery: Where its workers come from.
        reaper: Notices their ends.
        model: The model's file.
    """

    def __init__(self, name: str, nursery: Nursery, reaper: Reaper, model: Path) -> None:
        spec = FunctionSpec(name=name, share_load=name == "shared", env={"MODEL": str(model)})
        self.starts: list[dict[str, float]] = []
        self.pool = WorkerPool(
            spec,
            worker_target(parse_target(str(APP)), spec, {}),
            nursery=nursery,
            reaper=reaper,
            open_log=lambda: os.dup(2),
            notify=self._note,
        )

    async def scale(self, workers: int) -> float:
        """Want so many workers; return the milliseconds until there are so many."""
        began = time.perf_counter()
        self.pool.set_desired(workers)
        await until(lambda: self.pool.counts() == {"starting": 0, "ready": workers, "draining": 0})
        return (time.perf_counter() - began) * 1000

    async def call_each(self) -> set[float]:
        """Have every worker run the model; return what they answer."""
        answers: dict[int, float] = {}
        wanted = {worker.pid for worker in self.pool.workers}
        while answers.keys() != wanted:
            for pid, value in await asyncio.gather(*(self._call() for _ in wanted)):
                answers[pid] = value
        return set(answers.values())

    async def _call(self) -> tuple[int, float]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.pool.take(Call(b"1", Codec.JSON, {}, answer.set_result))
        frame = await answer
        if not isinstance(frame, Frame) or frame.kind != Kind.RESULT:
            raise RuntimeError(f"no result: {frame}")
        pid, value = json.loads(bytes(frame.body))
        return pid, value

    def _note(self, kind: str, detail: dict[str, Any]) -> None:
        if kind == "worker_ready":
            self.starts.append(detail["phases_ms"])
        elif kind in ("worker_lost", "template_lost", "template_refused"):
            raise RuntimeError(f"{kind}: {detail}")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that nothing tells of."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.0005)


async def measure(model: Path, rounds: int, cycles: int, workers: int) -> dict[str, Any]:
    """Run the rounds, the two arms in turn, and then the cycles."""
    reaper = Reaper(asyncio.get_running_loop())
    nursery = Nursery(Path(sys.executable), reaper=reaper, imports=["numpy", "onnxruntime"])
    arms = {name: Arm(name, nursery, reaper, model) for name in ARMS}
    found: dict[str, dict[str, list[float]]] = {name: {} for name in ARMS}
    answers: set[float] = set()
    try:
        for arm in arms.values():  # the zygote and the file's pages are there before the clock runs
            await arm.scale(1)
            await arm.scale(0)
            arm.starts.clear()
        for _ in range(rounds):
            for name, arm in arms.items():
                answers |= await run_round(arm, found[name], workers)
        if len(answers) != 1:
            raise RuntimeError(f"workers disagree: {answers}")
        leaks = {name: await run_cycles(arm, nursery, cycles) for name, arm in arms.items()}
    finally:
        for arm in arms.values():
            await arm.pool.stop(limit_s=WAIT_S)
        nursery.stop()
        reaper.close()
    return {
        "facts": facts(VERSIONS),
        "workers": workers,
        "arms": {name: {key: spread(values) for key, values in found[name].items()} for name in ARMS},
        "cycles": leaks,
        "samples": found,
    }


async def run_round(arm: Arm, found: dict[str, list[float]], workers: int) -> set[float]:
    """Start workers, have them work, add up their memory, and end them; return their answers."""
    arm.starts.clear()

    def note(key: str, value: float) -> None:
        found.setdefault(key, []).append(value)

    answers: set[float] = set()
    running = 0
    for count in (*STEPS, workers):
        note(f"start_of_{count}_ms_each", await arm.scale(count) / (count - running))
        answers |= await arm.call_each()
        note(f"memory_of_{count}_mib", arm.pool.memory_bytes() / 2**20)
        running = count
    note("first_load_ms", arm.starts[0]["load"])
    note("second_load_ms", arm.starts[1]["load"])
    await arm.scale(0)
    await until(lambda: arm.pool.memory_bytes() == 0)
    return answers


async def run_cycles(arm: Arm, nursery: Nursery, cycles: int) -> dict[str, dict[str, float]]:
    """Go from zero to one worker and back; return what was held before and after."""
    held = {}
    for when, count in (("before", 3), ("after", cycles)):
        for _ in range(count):
            await arm.scale(1)
            await arm.call_each()
            await arm.scale(0)
        processes = processes_of_self()
        await until(lambda: len(processes_of_self()) <= 2)  # the zygote and its spare
        processes = processes_of_self()
        held[when] = {
            "front_mib": share_bytes(os.getpid()) / 2**20,
            "zygote_mib": share_bytes(nursery.pid or 0) / 2**20,
            "processes": float(len(processes)),
            "descriptors": float(len(os.listdir("/proc/self/fd"))),
        }
    return held


def processes_of_self() -> list[int]:
    """Return the children of this process, zombies included."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in children.split()]


def report(result: dict[str, Any]) -> None:
    """Print the figures."""
    print(json.dumps(result["facts"], indent=2))
    model_mib = result["model_bytes"] / 2**20
    print(f"model: {model_mib:.1f} MiB; {result['workers']} workers")
    for name, values in result["arms"].items():
        for key, numbers in values.items():
            print(line(f"{name}: {key}", numbers, "MiB" if key.endswith("mib") else "ms"))
    growths = []
    for name, held in result["cycles"].items():
        for key, before in held["before"].items():
            print(f"{name}: {key} before the cycles {before:.1f}, after {held['after'][key]:.1f}")
        before, after = (sum(held[when][key] for key in ("front_mib", "zygote_mib")) for when in ("before", "after"))
        growths.append(after / before - 1)
    shared = {key: values["median"] for key, values in result["arms"]["shared"].items()}
    copies = shared[f"memory_of_{result['workers']}_mib"] / model_mib
    second = shared["start_of_2_ms_each"] / shared["start_of_1_ms_each"]
    print(f"bar: all workers in {BAR_COPIES:g} copies of the model: {verdict(copies, BAR_COPIES)}")
    print(f"bar: second start in {BAR_SECOND_RATIO:.0%} of the first: {verdict(second, BAR_SECOND_RATIO)}")
    print(f"bar: cycles add at most {BAR_GROWTH_RATIO:.0%}: {verdict(max(growths), BAR_GROWTH_RATIO)}")


def verdict(value: float, bar: float) -> str:
    """Say whether a value keeps to its bar."""
    return f"{value:.3f}, {'met' if value <= bar else 'MISSED'}"


if __name__ == "__main__":
    sys.exit(main())
