"""The five kinds of records behind one open file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from skerry.engine.records.apps import Apps
from skerry.engine.records.events import Events
from skerry.engine.records.jobs import Jobs
from skerry.engine.records.schema import Database
from skerry.engine.records.traffic import TrafficPlans
from skerry.engine.records.usage import Usage


class Records:
    """An engine's records; a context manager.

    Usable from any thread: one call at a time runs, each is one transaction. Not usable after a fork in the child.

    Args:
        path: The SQLite file, made when it is missing.

    Raises:
        ConfigError: the file is no SQLite file, cannot be opened, or was written by a newer Skerry.
    """

    __slots__ = ("_database", "apps", "events", "jobs", "traffic", "usage")

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self.apps = Apps(self._database)
        self.jobs = Jobs(self._database)
        self.events = Events(self._database)
        self.traffic = TrafficPlans(self._database)
        self.usage = Usage(self._database)

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        self._database.close()

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
