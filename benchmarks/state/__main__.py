"""How fast states are, and that nothing is lost: processes that all increment one number, and then a mix of operations.

Run: python -m benchmarks.state [--functions 8] [--increments 10000] [--store URL]

Without ``--store`` both backends are measured: SQLite in a temporary folder, and a redis-server that is started here on
a Unix socket. Each function is a process in a closed loop: it sends its next operation when it has the answer to the
one before. Processes are forked before the clock starts, and begin together. The goal (paper 004): 8 functions, at
least 4,750 operations/s, at most 5.6 ms in the mean.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import cpu_s, facts, save
from benchmarks.state.places import backends
from skerry.store.state import State, store_at

GROUP = "bench/state"
MIX = 2000  # operations of each function: 4 reads, 3 writes, 2 increments and 1 batch of 8 in 10


def increment(state: State, count: int) -> list[float]:
    """Increment one number that all functions share, and return the time of each, seconds."""
    return [_timed(lambda: state.increment("count")) for _ in range(count)]


def mix(state: State, count: int) -> list[float]:
    """Do a mix of operations on a hundred keys, and return the time of each, seconds."""

    def batch(number: int) -> None:
        with state.batch() as sent:
            for key in range(8):
                sent.increment(f"b{(number + key) % 100}")

    times = []
    for number in range(count):
        key, turn = f"k{number * 7 % 100}", number % 10
        actions: list[Callable[[], Any]] = [
            *[lambda key=key: state.get(key)] * 4,
            *[lambda key=key, number=number: state.put(key, {"number": number, "text": "x" * 100})] * 3,
            *[lambda key=key: state.increment(f"n{key}")] * 2,
            lambda number=number: batch(number),
        ]
        times.append(_timed(actions[turn]))
    return times


def measure(url: str, functions: int, work: Callable[[State, int], list[float]], count: int) -> dict[str, Any]:
    """Have several processes work at once, and return what they did together."""
    state = State(lambda: store_at(url), GROUP)
    begin_read, begin_write = os.pipe()
    before_cpu_s = cpu_s()
    pipes = []
    for _ in range(functions):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(begin_write)
            state.get("warm-up")
            os.write(write, b"r")
            os.read(begin_read, 1)
            with os.fdopen(write, "w") as file:
                json.dump(work(state, count), file)
            os._exit(0)
        os.close(write)
        pipes.append((pid, os.fdopen(read)))
    for _, pipe in pipes:
        pipe.read(1)
    begun_s = time.perf_counter()
    os.close(begin_write)
    times = sorted(taken for _, pipe in pipes for taken in json.load(pipe))
    wall_s = time.perf_counter() - begun_s
    for pid, pipe in pipes:
        pipe.close()
        assert os.waitpid(pid, 0)[1] == 0
    os.close(begin_read)
    return {
        "operations": len(times),
        "operations_per_s": len(times) / wall_s,
        "mean_ms": 1e3 * sum(times) / len(times),
        "p50_ms": 1e3 * times[len(times) // 2],
        "p99_ms": 1e3 * times[len(times) * 99 // 100],
        "max_ms": 1e3 * times[-1],
        "wall_s": wall_s,
        "cpu_of_functions_s": cpu_s() - before_cpu_s,
    }


def main() -> int:
    """Measure, print and save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--functions", type=int, default=8)
    parser.add_argument("--increments", type=int, default=10_000)
    parser.add_argument("--store")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"functions": arguments.functions, **facts(["msgpack", "redis"])}
    exact = True
    with backends(arguments.store) as found:
        for name, url in found.items():
            counted = measure(url, arguments.functions, increment, arguments.increments)
            counted["exact"] = State(lambda url=url: store_at(url), GROUP).get("count") == counted["operations"]
            exact &= counted["exact"]
            result[name] = {"increments": counted, "mix": measure(url, arguments.functions, mix, MIX)}
            for what in ("increments", "mix"):
                print(f"{name} {what}:", json.dumps({k: _rounded(v) for k, v in result[name][what].items()}))
    print(f"saved {save('state', result).relative_to(Path.cwd())}")
    return 0 if exact else 1


def _timed(action: Callable[[], Any]) -> float:
    begun_s = time.perf_counter()
    action()
    return time.perf_counter() - begun_s


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
