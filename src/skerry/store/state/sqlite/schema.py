"""The tables of a state's file.

The file is in WAL mode with ``synchronous=NORMAL``, as the engine's records are: what was committed survives the death
of any process; a power cut can take the last moments with it, never the file's consistency.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from skerry.errors import ConfigError

VERSION = 1
BUSY_TIMEOUT_MS = 10_000  # for programs that do not know the gate, such as a backup

_TABLES = (
    "CREATE TABLE meta (revision INTEGER NOT NULL) STRICT",
    "INSERT INTO meta VALUES (0)",
    """CREATE TABLE entries (
        id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, kind TEXT NOT NULL CHECK (kind IN ('value', 'list', 'set')),
        value BLOB, version INTEGER NOT NULL, ends_at_ms INTEGER
    ) STRICT""",
    "CREATE INDEX ending ON entries (ends_at_ms) WHERE ends_at_ms IS NOT NULL",
    """CREATE TABLE elements (
        entry INTEGER NOT NULL, position INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (entry, position)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE members (
        entry INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (entry, value)
    ) STRICT, WITHOUT ROWID""",
    f"PRAGMA user_version = {VERSION}",
)


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to a state's file, made when it is missing. Only one process at a time may be in here.

    Args:
        path: The file.

    Raises:
        ConfigError: a newer Skerry wrote the file.
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # see file.py
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise ConfigError(f"{path} was written by a newer Skerry (version {found} of the file, not {VERSION})")
        if found == 0:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection
