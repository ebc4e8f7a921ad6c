"""The file of the embedded backlog: its tables, their version, how it is opened.

WAL mode with ``synchronous=NORMAL``: a commit has been written to the operating system, so it survives the death of any
process. A power cut may take the commits since the last checkpoint with it (never the file's consistency).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from skerry.errors import ConfigError

OPEN_TIMEOUT_S: Final = 10.0
BUSY_TIMEOUT_MS: Final = 200

# MIGRATIONS[n] leads from version n to n + 1. Entries are only ever appended: files of every older version exist.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE events (
            number INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, key TEXT,
            accepted_at REAL NOT NULL, document BLOB NOT NULL, UNIQUE (source, id)
        ) STRICT""",
        """CREATE TABLE deliveries (
            trigger TEXT NOT NULL, position INTEGER NOT NULL, event INTEGER NOT NULL, attempts INTEGER NOT NULL,
            due_at REAL NOT NULL, state TEXT NOT NULL CHECK (state IN ('waiting', 'dead')),
            code INTEGER, error TEXT, died_at REAL, PRIMARY KEY (trigger, position)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX dead_deliveries ON deliveries (position) WHERE state = 'dead'",
        "CREATE INDEX deliveries_by_event ON deliveries (event)",
    ),
)


def connect(
    path: Path, *, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS, what: str = "the backlog of events"
) -> sqlite3.Connection:
    """Return a connection to a file, which is made or brought to the newest version; who writes makes checkpoints.

    Args:
        path: The file.
        migrations: Statements per version.
        what: What it is, for messages.

    Raises:
        ConfigError: it cannot be opened, is no such file, or was written by a newer Skerry.
    """
    try:
        connection = sqlite3.connect(path, timeout=OPEN_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise ConfigError(f"{what} {path} cannot be opened: {error}") from error
    try:
        _prepare(connection, path, migrations, what)
    except (sqlite3.Error, ConfigError) as error:
        connection.close()
        if isinstance(error, ConfigError):
            raise
        if isinstance(error, sqlite3.OperationalError):  # the file may be sound: it holds what was accepted
            advice = "see that there is room on its disk, and that nobody else writes it; what it holds is not lost"
        else:
            advice = "move the file away to start with an empty one"
        raise ConfigError(f"{what} {path} cannot be used: {error}; {advice}") from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, migrations: tuple[tuple[str, ...], ...], what: str) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # it waits for the disk, which a thread does: see `Checkpoints`
    if int(connection.execute("PRAGMA user_version").fetchone()[0]) == len(migrations):
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        return  # nothing is written: a disk that is full keeps nobody from reading
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(migrations):
            raise ConfigError(
                f"{what} {path} has version {version}, this Skerry reads up to {len(migrations)}: "
                "a newer one wrote it; upgrade Skerry or choose another folder"
            )
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
