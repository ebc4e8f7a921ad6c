"""Warming: workers for the next round start while the server aggregates and evaluates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skerry.errors import SkerryError
from skerry.learn.federated.messages import FitTask
from skerry.learn.federated.shared import Shared
from skerry.learn.federated.tasks import Tasks


def find_cold(idle_s: Mapping[str, float], warm_after_s: float | None) -> tuple[str, ...]:
    """Return whose workers may have gone since their last answer.

    Args:
        idle_s: Seconds since each client's answer.
        warm_after_s: A platform may let workers go that are idle for as long; none for never.
    """
    return tuple(sorted(name for name, idle in idle_s.items() if warm_after_s is not None and idle >= warm_after_s))


def warm(shared: Shared, tasks: Tasks, clients: tuple[str, ...]) -> None:
    """Call the training of clients without anything to train; nobody waits for it, and it may fail.

    Args:
        shared: What all rounds have in common.
        tasks: Of the round that ends.
        clients: Whose; busy ones are left alone.
    """
    for client in clients:
        if not shared.histories[client].busy:
            shared.threads.start(_caller(shared.apps[client]["fit"].remote, tasks.warm(client)))


def _caller(call: Callable[[FitTask], Any], task: FitTask) -> Callable[[], None]:
    def run() -> None:
        try:
            call(task)
        except SkerryError:
            return  # the next round finds out what is wrong with the client

    return run
