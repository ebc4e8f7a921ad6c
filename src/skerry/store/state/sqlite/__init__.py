"""States in SQLite files, one for each state: any number of processes of one machine work on them at once."""

from skerry.store.state.sqlite.store import SqliteStateStore

__all__ = ["SqliteStateStore"]
