"""Executors that the benchmark can put under a search: a context manager from a number of workers to a ``map``."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from skerry.learn.search import Map


@contextmanager
def pool(workers: int) -> Iterator[Map]:
    """Yield the map of forked processes, which have scikit-learn imported as an engine's workers have."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as executor:

        def run(function: Any, tasks: Any) -> Iterator[Any]:
            return executor.map(function, tasks)

        yield run


EXECUTORS: dict[str, Callable[[int], AbstractContextManager[Map]]] = {"pool": pool}
"""By the name that ``--executor`` takes. An executor's processes must have ended when its block ends: the processor
time of children is known only then."""
