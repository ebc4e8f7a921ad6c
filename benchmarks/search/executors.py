"""Executors that the benchmark can put under a search: a context manager from a number of workers to a ``map``."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
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
the measuring of processor time sees them."""
