"""Executors that the benchmark can put under a search: a context manager from a number of workers to a ``map``."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from skerry.learn.search import Map, over
from skerry.learn.search.app import app, evaluate
from skerry.spec import SET_VARIABLE


@contextmanager
def pool(workers: int) -> Iterator[Map]:
    """Yield the map of forked processes, which have scikit-learn imported as an engine's workers have."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as executor:

        def run(function: Any, tasks: Any) -> Iterator[Any]:
            return executor.map(function, tasks)

        yield run


@contextmanager
def engine(workers: int) -> Iterator[Map]:
    """Yield the map of a function on an embedded engine that keeps this many workers ready."""
    settings = f"evaluate.scale.min={workers} evaluate.scale.initial={workers} evaluate.scale.max={workers}"
    before = os.environ.get(SET_VARIABLE)
    os.environ[SET_VARIABLE] = settings
    try:
        with app.run():
            yield over(evaluate, in_flight=2 * workers)
    finally:
        if before is None:
            del os.environ[SET_VARIABLE]
        else:
            os.environ[SET_VARIABLE] = before


EXECUTORS: dict[str, Callable[[int], AbstractContextManager[Map]]] = {"engine": engine, "pool": pool}
"""By the name that ``--executor`` takes. Their processes must be descendants of the benchmark's, so that
:func:`tree_cpu_s` sees them."""


def tree_cpu_s() -> float:
    """Return the processor time of this process and all below it, ended children included, in seconds."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # Counted from the state after the name: the parent, then user, system, and the same of reaped children.
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    tree = {os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return sum(ticks[pid] for pid in tree) / os.sysconf("SC_CLK_TCK")
