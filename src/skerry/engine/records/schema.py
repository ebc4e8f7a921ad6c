"""The SQLite file: its tables, their version, and transactions on them.

The file is in WAL mode with ``synchronous=NORMAL``. A commit has then been written to the operating system, so it
survives the death of the process by any signal. It may not have reached the disk: a power cut can take the last commits
with it (never the file's consistency). ``FULL`` would close that gap for one flush of the disk per accepted job, some
milliseconds each on the flash cards of small machines, while the front waits; the engine prefers the speed.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skerry.engine.records.checkpoints import Checkpoints
from skerry.errors import ConfigError, UnavailableError

OPEN_TIMEOUT_S = 10.0  # how long another program may keep the file locked while the engine starts
BUSY_TIMEOUT_S = 0.2  # and later on, when nothing is served as long as the engine waits
WAL_LIMIT_BYTES = 64 * 2**20

# MIGRATIONS[n] leads from version n to n + 1. Entries are only ever appended: files of every older version exist.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE apps (
            name TEXT PRIMARY KEY, target TEXT NOT NULL, source_digest TEXT NOT NULL, source TEXT NOT NULL,
            environment_digest TEXT NOT NULL, requirements TEXT NOT NULL, imports TEXT NOT NULL,
            deployed_at REAL NOT NULL
        ) STRICT""",
        # A function's row outlives its app, so that a name that comes back goes on counting its revisions.
        """CREATE TABLE functions (
            name TEXT PRIMARY KEY, app TEXT REFERENCES apps (name) ON DELETE SET NULL, last_number INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE revisions (
            name TEXT PRIMARY KEY, function TEXT NOT NULL REFERENCES functions (name), number INTEGER NOT NULL,
            app TEXT NOT NULL, source_digest TEXT NOT NULL, environment_digest TEXT NOT NULL, content TEXT NOT NULL,
            spec TEXT NOT NULL, schema TEXT NOT NULL, modules TEXT NOT NULL, created_at REAL NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('active', 'retired')), UNIQUE (function, number)
        ) STRICT""",
        "CREATE UNIQUE INDEX one_active_revision ON revisions (function) WHERE state = 'active'",
        """CREATE TABLE jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, function TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
            attempts INTEGER NOT NULL, run TEXT, submitted_at REAL NOT NULL, started_at REAL, ended_at REAL, error TEXT
        ) STRICT""",
        "CREATE INDEX unfinished_jobs ON jobs (status, number) WHERE status IN ('queued', 'running')",
        "CREATE INDEX ended_jobs ON jobs (ended_at) WHERE ended_at IS NOT NULL",
        # Bodies have rows of their own: a change of a job's status would otherwise write its megabytes again.
        """CREATE TABLE job_requests (
            job TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, content_type TEXT NOT NULL,
            headers TEXT NOT NULL, body BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE job_results (
            job TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, content_type TEXT NOT NULL,
            headers TEXT NOT NULL, body BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE events (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, function TEXT NOT NULL, number INTEGER NOT NULL,
            at REAL NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL, UNIQUE (function, number)
        ) STRICT""",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN attempts_before INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job_requests ADD COLUMN options TEXT NOT NULL DEFAULT '{}'",
    ),
    (
        """CREATE TABLE usage (
            function TEXT NOT NULL, revision TEXT NOT NULL, hour_at INTEGER NOT NULL, requests INTEGER NOT NULL,
            errors INTEGER NOT NULL, billed_us INTEGER NOT NULL, memory_gb_s REAL NOT NULL,
            cold_starts INTEGER NOT NULL, cold_start_us INTEGER NOT NULL, idle_us INTEGER NOT NULL,
            PRIMARY KEY (function, revision, hour_at)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX usage_by_hour ON usage (hour_at)",
    ),
    ("ALTER TABLE revisions ADD COLUMN model TEXT",),
    ("CREATE TABLE traffic (function TEXT PRIMARY KEY, plan TEXT NOT NULL) STRICT",),
    ("ALTER TABLE apps ADD COLUMN event_sources TEXT NOT NULL DEFAULT '{}'",),
    # What a rollback goes back to. Whole, because a revision alone does not say how to load its app.
    (
        """CREATE TABLE deployments (
            app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE, number INTEGER NOT NULL, record TEXT NOT NULL,
            drafts TEXT NOT NULL, deployed_at REAL NOT NULL, PRIMARY KEY (app, number)
        ) STRICT, WITHOUT ROWID""",
    ),
    ("ALTER TABLE jobs ADD COLUMN local INTEGER",),  # of older jobs it is not known
)


class Database:
    """One connection, shared by all threads of the process under a lock.

    Args:
        path: The SQLite file.
        migrations: Statements per version; another value than the default is for tests.
    """

    def __init__(self, path: Path, *, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._checkpoints = Checkpoints(path, writer=self._lock)
        try:
            self._connection = sqlite3.connect(
                path, timeout=OPEN_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise ConfigError(f"the engine's records {path} cannot be opened: {error}") from error
        try:
            self._prepare(migrations)
        except sqlite3.Error as error:
            self._connection.close()
            raise ConfigError(
                f"the engine's records {path} cannot be used: {error}; move the file away to start with empty ones"
            ) from error
        except ConfigError:
            self._connection.close()
            raise

    def _prepare(self, migrations: tuple[tuple[str, ...], ...]) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # it waits for the disk, which a thread does
        connection.execute("BEGIN IMMEDIATE")  # the version is read under the lock: two openers migrate once
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > len(migrations):
                raise ConfigError(
                    f"the engine's records {self._path} have version {version}, this Skerry reads up to "
                    f"{len(migrations)}: a newer one wrote them; upgrade Skerry or choose another folder"
                )
            for statements in migrations[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run the body as one transaction: all of it is kept, or, after an exception, nothing.

        Raises:
            UnavailableError: the records cannot be written, for instance because the disk is full.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                finally:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                self._checkpoints.wrote()
            except sqlite3.OperationalError as error:
                self._checkpoints.want()
                raise UnavailableError(
                    f"the engine's records {self._path} cannot be written: {error}; nothing was changed"
                ) from error

    def rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Return the rows that a query finds."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Row | None:
        """Return the first row that a query finds, or None."""
        rows = self.rows(statement, values)
        return rows[0] if rows else None

    def close(self) -> None:
        """Close the connection; further calls do nothing."""
        self._checkpoints.stop()
        with self._lock:
            self._connection.close()


def to_json(value: Any) -> str:
    """Return a value as JSON text, equal values as equal text."""
    return _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
