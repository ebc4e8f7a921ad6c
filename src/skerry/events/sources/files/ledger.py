"""Which files have become events: a SQLite file, so that a restart brings none of them again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from skerry.errors import UnavailableError

OPEN_TIMEOUT_S = 10.0
KEPT_S = 30 * 86_400.0  # a file that has left is known for so long: it may come back as it was


def ledger_name(source: str, url: str) -> str:
    """Return under what a source's files are written down: another place has other files."""
    return f"{source} {url}"


class Ledger:
    """The files of all sources that have become events; a context manager. For one thread.

    Args:
        path: The file, made when it is missing. It is in WAL mode with ``synchronous=NORMAL``, as the broker's is.

    Raises:
        UnavailableError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(path, timeout=OPEN_TIMEOUT_S, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(
                """CREATE TABLE IF NOT EXISTS seen (
                     source TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, gone_at REAL,
                     PRIMARY KEY (source, key)
                   ) STRICT, WITHOUT ROWID"""
            )
            self._connection.execute(
                "CREATE INDEX IF NOT EXISTS gone ON seen (source, gone_at) WHERE gone_at IS NOT NULL"
            )
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def seen(self, source: str) -> dict[str, str]:
        """Return the files of a source, key to version."""
        try:
            rows = self._connection.execute("SELECT key, version FROM seen WHERE source = ?", (source,))
            return dict(rows.fetchall())
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def add(self, source: str, files: Mapping[str, str]) -> None:
        """Write down that files have become events, all or none."""
        self._write(
            "INSERT OR REPLACE INTO seen (source, key, version) VALUES (?, ?, ?)",
            [(source, key, version) for key, version in files.items()],
        )

    def mark(self, source: str, *, gone: Iterable[str], back: Iterable[str], now_s: float) -> list[str]:
        """Write down which files have left, and which are there again; return those that are forgotten now.

        Args:
            source: Whose they are.
            gone: Files that are not there any more.
            back: Files that had left.
            now_s: Unix time, seconds.
        """
        self._write(
            "UPDATE seen SET gone_at = ? WHERE source = ? AND key = ?",
            [*((now_s, source, key) for key in gone), *((None, source, key) for key in back)],
        )
        try:
            found = self._connection.execute(
                "DELETE FROM seen WHERE source = ? AND gone_at < ? RETURNING key", (source, now_s - KEPT_S)
            )
            return [key for (key,) in found.fetchall()]
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def keep_only(self, sources: Sequence[str]) -> None:
        """Forget the files of all other sources."""
        marks = ", ".join("?" * len(sources))
        self._write(f"DELETE FROM seen WHERE source NOT IN ({marks})", [tuple(sources)])  # noqa: S608  # marks alone

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> UnavailableError:
        return UnavailableError(f"what files have become events, {self._path}, cannot be read or written: {error}")
