"""The zygotes of an engine: one for each environment that is in use, and one for an app that is not proven yet."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from skerry.engine.home import Home
from skerry.engine.sources.environment import Environment
from skerry.engine.strays import MARK
from skerry.runtime.confinement import share_bytes
from skerry.runtime.nursery import Nursery
from skerry.runtime.reaper import Reaper
from skerry.runtime.zygote_process import known_imports

# The zygote of an app that is not proven yet is forked twice or so: its first forks need not be made cheaper.
UNPROVEN_PATIENCE_S = 10.0


class Nurseries:
    """Where an engine's workers come from.

    Args:
        home: The engine's folder.
        reaper: Notices the end of processes.
    """

    def __init__(self, home: Home, reaper: Reaper) -> None:
        self._home = home
        self._reaper = reaper
        self._kept: dict[Path, Nursery] = {}

    def of(self, environment: Environment) -> Nursery:
        """Return the zygote of an environment; there is one for each interpreter."""
        nursery = self._kept.get(environment.python)
        if nursery is None:
            nursery = self._kept[environment.python] = self._make(environment)
        return nursery

    def kept(self, environment: Environment) -> Nursery | None:
        """Return the zygote of an environment where there is one already."""
        return self._kept.get(environment.python)

    @contextmanager
    def throwaway(self, environment: Environment) -> Iterator[Nursery]:
        """Give a zygote of its own to an app that is not proven yet: what its imports do, they do to nobody else."""
        nursery = self._make(environment, patience_s=UNPROVEN_PATIENCE_S)
        try:
            yield nursery
        finally:
            if nursery not in self._kept.values():
                nursery.stop()

    def keep(self, environment: Environment, nursery: Nursery) -> None:
        """Make the zygote of an app that is proven now that of its environment, unless there is one.

        The app's libraries are imported in it, and another one would begin with importing them again.
        """
        if self._kept.setdefault(environment.python, nursery) is nursery:
            nursery.settle()

    def end_unused(self, used: Collection[Nursery]) -> None:
        """End the zygotes of environments that no function uses; one that is wanted after all starts again."""
        for nursery in self._kept.values():
            if nursery not in used:
                nursery.stop()

    def memory_bytes(self) -> int:
        """Return the memory of the zygotes, each page counted once."""
        return sum(share_bytes(nursery.pid) for nursery in self._kept.values() if nursery.pid is not None)

    def stop(self) -> None:
        """End the zygotes; their workers go on."""
        self.end_unused(())

    def _make(self, environment: Environment, *, patience_s: float | None = None) -> Nursery:
        variables = {**os.environ, "SKERRY_ENGINE": str(self._home.socket), MARK: str(self._home.socket)}
        variables.pop("PYTHONSTARTUP", None)
        # What every app imports is imported once in the zygote, not at each worker's start.
        wanted = known_imports({})
        return Nursery(
            environment.python, reaper=self._reaper, imports=wanted, environment=variables, patience_s=patience_s
        )
