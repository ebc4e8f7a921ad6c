"""Compare a search with ``GridSearchCV`` on paper 001's sample: equal arrays, processor time, speed of more workers."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import facts, save
from benchmarks.search.compare import differences
from benchmarks.search.executors import EXECUTORS
from benchmarks.search.reference import grid_search
from skerry.learn.search import FAMILIES, Map, SearchResult, Settings, load_json, search
from skerry.learn.search.wire import FOLDS, HOLDOUT
from skerry.testbed.experiments.usage import trees_cpu_s

SAMPLE = Path("data/fake_news_seed/example_data.json.gz")
REPEATED = ("pac", "mnb")
CPU_BAR = 10.0


def find_sample() -> Path | None:
    """Return the sample in ``$SKERRY_SHARED`` or in ``../shared`` beside the repository, or None."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    path = Path(os.environ.get("SKERRY_SHARED") or beside) / SAMPLE
    return path if path.is_file() else None


def measure(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return what the work returns, with its wall time and the processor time of this process and all below it."""
    wall, cpu = time.perf_counter(), trees_cpu_s([os.getpid()])
    answer = work()
    return answer, {"wall_s": time.perf_counter() - wall, "cpu_s": trees_cpu_s([os.getpid()]) - cpu}


def run_search(sample: Path, family: str, spread: Map) -> SearchResult:
    """Run one search from the file to the result, in a folder of its own, so that nothing was counted before."""
    with tempfile.TemporaryDirectory() as root:
        _model, data = load_json(sample, root=Path(root))
        return search(data, family, folds=FOLDS, map=spread, settings=Settings(holdout=HOLDOUT))


def read_sample(sample: Path) -> tuple[list[str], list[Any]]:
    """Return texts and labels as lists, for the other arm."""
    with tempfile.TemporaryDirectory() as root:
        _model, data = load_json(sample, root=Path(root))
        return data.read_texts(), data.labels.tolist()


def compare_family(sample: Path, family: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run both arms in turn and return medians and differences."""
    texts, labels = read_sample(sample)
    runs: dict[str, list[dict[str, float]]] = {}
    different: dict[str, list[str]] = {}
    for _ in range(options.repeats if family in REPEATED else options.repeats_other):
        (reference, test), cost = measure(partial(grid_search, family, texts, labels))
        runs.setdefault("grid_search_cv", []).append(cost)
        for workers in options.workers:
            with EXECUTORS[options.executor](workers) as spread:
                result, cost = measure(partial(run_search, sample, family, spread))
            name = f"workers_{workers}"
            runs.setdefault(name, []).append(cost)
            different.setdefault(name, []).extend(differences(result, reference, test))
    arms = {
        name: {unit: statistics.median(cost[unit] for cost in costs) for unit in ("wall_s", "cpu_s")}
        for name, costs in runs.items()
    }
    first, reference_arm = arms[f"workers_{options.workers[0]}"], arms["grid_search_cv"]
    return {
        "family": family,
        "candidates": len(result.candidates),
        "failed": len(result.failed),
        "runs": len(runs["grid_search_cv"]),
        "arms": arms,
        "different": different,
        "equal": not any(different.values()),
        "cpu_ratio": reference_arm["cpu_s"] / first["cpu_s"],
        "speedup_of_two": first["wall_s"] / arms["workers_2"]["wall_s"] if "workers_2" in arms else None,
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print one line per family."""
    print(
        f"{'family':7}{'runs':>5}{'equal':>7}{'GSCV cpu s':>12}{'ours cpu s':>12}{'ratio':>8}{'GSCV wall s':>13}",
        end="",
    )
    names = [name for name in rows[0]["arms"] if name != "grid_search_cv"]
    print("".join(f"{name.removeprefix('workers_') + ' w. wall s':>14}" for name in names) + f"{'2 over 1':>10}")
    for row in rows:
        arms = row["arms"]
        theirs, ours = arms["grid_search_cv"], arms[names[0]]
        print(
            f"{row['family']:7}{row['runs']:>5}{'yes' if row['equal'] else 'NO':>7}{theirs['cpu_s']:>12.2f}"
            f"{ours['cpu_s']:>12.2f}{row['cpu_ratio']:>8.1f}{theirs['wall_s']:>13.2f}",
            end="",
        )
        print("".join(f"{arms[name]['wall_s']:>14.2f}" for name in names), end="")
        print(f"{row['speedup_of_two']:>10.2f}" if row["speedup_of_two"] else f"{'-':>10}")


def main() -> None:
    """Run the benchmark; exit 1 when an answer differs or the bar on processor time is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--repeats", type=int, default=3, help=f"runs of {' and '.join(REPEATED)}")
    parser.add_argument("--repeats-other", type=int, default=1, help="runs of the other families")
    parser.add_argument("--executor", choices=list(EXECUTORS), default="engine")
    parser.add_argument("--name", default="search", help="the results go to benchmarks/results/NAME.json")
    options = parser.parse_args()
    sample = find_sample()
    if sample is None:
        print(f"skipped: {SAMPLE} is in neither $SKERRY_SHARED nor ../shared", file=sys.stderr)
        return
    rows = []
    for family in options.families:
        rows.append(compare_family(sample, family, options))
        print(f"{family}: done", file=sys.stderr, flush=True)
    machine = facts(["scikit-learn", "numpy", "scipy"])
    path = save(options.name, {"machine": machine, "executor": options.executor, "families": rows})
    print_table(rows)
    print(f"written to {path}")
    missed = [row["family"] for row in rows if row["family"] in REPEATED and row["cpu_ratio"] < CPU_BAR]
    wrong = [row["family"] for row in rows if not row["equal"]]
    for problem, families in (("answers differ", wrong), (f"less than {CPU_BAR:g} times less processor time", missed)):
        if families:
            print(f"{problem}: {', '.join(families)}", file=sys.stderr)
    sys.exit(1 if missed or wrong else 0)


if __name__ == "__main__":
    main()
