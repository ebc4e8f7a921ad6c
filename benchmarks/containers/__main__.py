"""Measure first answers of containers: `python -m benchmarks.containers [--trials 15]`.

Method. The arms take turns, one start of each per round, in an order that is shuffled anew for each round:

- `libraries`: a bare interpreter imports what the app imports besides Skerry, `python -c "import numpy, onnxruntime"`,
  from exec to its exit: the base of the bar;
- `in process`: a bare interpreter imports the app itself, loads its model, answers one call of the function by a plain
  call, and ends: what no server in Python can do without;
- `container`: `python -m skerry.runtime app.py:app --function classify`, from exec to the last byte of the first
  answer over HTTP, asked each 2 ms until it accepts; with SKERRY_IMPORTS, which `skerry build` sets;
- `no imports`: the same without SKERRY_IMPORTS.

The ratio is formed within each round. Processor time is that of all processes of a start until they have ended, the end
of a server included. Page cache and bytecode are warm, as the bytecode of an image is: one round is thrown away.
Each start has a session, and so a scheduling group of its own (autogroup), as a container has: on a machine with other
work, what runs in the benchmark's session would be slowed down by the benchmark itself.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cold_start.__main__ import make_model
from benchmarks.containers.starting import Start, clean_environment, time_command, time_first_answer
from benchmarks.measuring import facts, line, save, spread
from skerry.runtime.confinement import become_subreaper

HERE = Path(__file__).parent
LIBRARIES = ("numpy", "onnxruntime")
VERSIONS = ("skerry", *LIBRARIES, "uvloop", "pydantic")
BAR_RATIO = 1.5


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=15, help="rounds")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of all arms")
    parser.add_argument("--said", default="", help="what is known of the machine meanwhile, such as: loaded by others")
    parser.add_argument("--no-save", action="store_true", help="do not write benchmarks/results/containers.json")
    arguments = parser.parse_args()
    become_subreaper()  # so that the processor time of all that a server leaves behind is seen
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        images, labels = make_model(Path(folder, "digits.onnx"))
        result = measure(arguments.python, str(Path(folder, "digits.onnx")), images[0], labels[0], arguments.trials)
    report(result)
    result["said"] = arguments.said
    if not arguments.no_save:
        print(f"written to {save('containers', result)}")
    return 0


def measure(python: str, model: str, image: list[float], label: int, rounds: int) -> dict[str, Any]:
    """Run the rounds and return the result."""
    known = clean_environment(MODEL=model, SKERRY_IMPORTS=",".join(LIBRARIES))
    unknown = clean_environment(MODEL=model)
    serve = [python, "-m", "skerry.runtime", f"{HERE / 'app.py'}:app", "--function", "classify"]
    here = f"import sys; sys.path.insert(0, {str(HERE)!r}); import app; assert app.Classify({image!r}) == {label}"
    arms = {
        "libraries": lambda: time_command([python, "-c", f"import {', '.join(LIBRARIES)}"], unknown),
        "in process": lambda: time_command([python, "-c", here], unknown),
        "container": lambda: time_first_answer(serve, known, image, label),
        "no imports": lambda: time_first_answer(serve, unknown, image, label),
    }
    starts: dict[str, list[Start]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name in random.sample(list(arms), len(arms)):
            start = arms[name]()
            if number:
                starts[name].append(start)
    ratios = {
        name: spread([s.wall_ms / base.wall_ms for s, base in zip(found, starts["libraries"], strict=True)])
        for name, found in starts.items()
        if name != "libraries"
    }
    return {
        "facts": facts(VERSIONS),
        "wall_ms": {name: spread([s.wall_ms for s in found]) for name, found in starts.items()},
        "cpu_ms": {name: spread([s.cpu_ms for s in found]) for name, found in starts.items()},
        "ratio": ratios,
        "samples": {name: [asdict(s) for s in found] for name, found in starts.items()},
    }


def report(result: dict[str, Any]) -> None:
    """Print the figures."""
    for kind in ("wall_ms", "cpu_ms"):
        for name, values in result[kind].items():
            print(line(f"{name}, {kind.removesuffix('_ms')}", values, "ms"))
    for name, values in result["ratio"].items():
        print(line(f"{name} / libraries", values, "  "))
    met = result["ratio"]["container"]["median"] <= BAR_RATIO
    print(f"bar: at most {BAR_RATIO:g} times the libraries: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    sys.exit(main())
