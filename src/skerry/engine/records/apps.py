"""Which apps are deployed, and every revision that their functions had."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from skerry.engine.records.schema import Database, to_json
from skerry.errors import ConfigError, FunctionNotFoundError, NameTakenError

RETIRED_KEPT = 50  # retired revisions that remain readable per function


@dataclass(frozen=True, kw_only=True, slots=True)
class AppRecord:
    """A deployed app.

    Args:
        name: The app's name.
        target: What the user named, such as ``/home/ada/news/app.py:app``.
        source_digest: Digest of the source that runs.
        source: How to load it, plain JSON values (``Source.to_dict``).
        environment_digest: Digest of the Python environment, or ``engine``.
        requirements: What the app needs installed.
        imports: Libraries that the zygote imports before it forks.
        deployed_at: Unix time of the last deployment that changed the app, seconds.
    """

    name: str
    target: str
    source_digest: str
    source: Mapping[str, Any]
    environment_digest: str
    requirements: tuple[str, ...]
    imports: tuple[str, ...]
    deployed_at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisionDraft:
    """What one function of an app becomes by a deployment.

    Args:
        function: The function's name.
        spec: ``FunctionSpec.to_dict()``.
        schema: JSON Schema of input and output.
        modules: Modules worth importing before a fork; a hint, a change of it alone makes no new revision.
    """

    function: str
    spec: Mapping[str, Any]
    schema: Mapping[str, Any]
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisionRecord:
    """An immutable deployed version of a function, named ``FUNCTION-00001`` and so on."""

    name: str
    function: str
    number: int
    app: str
    source_digest: str
    environment_digest: str
    spec: Mapping[str, Any]
    schema: Mapping[str, Any]
    modules: tuple[str, ...]
    created_at: float
    state: Literal["active", "retired"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What a deployment did.

    Args:
        app: The app as it is now.
        active: The app's revisions, one per function, by function name.
        created: Those of them that are new.
        retired: Revisions that no longer serve: replaced ones and those of functions that the app lost.
    """

    app: AppRecord
    active: tuple[RevisionRecord, ...]
    created: tuple[RevisionRecord, ...]
    retired: tuple[RevisionRecord, ...]

    @property
    def changed(self) -> bool:
        """Whether any function serves differently than before."""
        return bool(self.created or self.retired)


class Apps:
    """Apps, functions and revisions in the records."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def deploy(self, app: AppRecord, drafts: Sequence[RevisionDraft], *, now_s: float) -> Deployment:
        """Make an app's functions exactly those given, all at once.

        A function whose source, environment, imports, spec and schema are what they were keeps its revision. A function
        that the app no longer has is retired and its name is free again.

        Args:
            app: The app; its ``deployed_at`` is not read.
            drafts: Its functions, each name once.
            now_s: Unix time, seconds.

        Raises:
            NameTakenError: another app owns one of the names; nothing was changed.
            ConfigError: a name is given twice.
        """
        names = [draft.function for draft in drafts]
        if len(set(names)) != len(names):
            raise ConfigError(f"app {app.name!r} declares a function name twice: {', '.join(sorted(names))}")
        created: list[RevisionRecord] = []
        retired: list[RevisionRecord] = []
        with self._database.write() as connection:
            for name in names:
                _check_owner(connection, name, app.name)
            _put_app(connection, app)
            before = {revision.function: revision for revision in _active(connection, app.name)}
            for name in sorted(before.keys() - set(names)):
                retired.append(_retire(connection, before[name]))
                connection.execute("UPDATE functions SET app = NULL WHERE name = ?", (name,))
            for draft in drafts:
                previous = before.get(draft.function)
                content = _content(app, draft)
                if previous is not None and _has_content(connection, previous.name, content):
                    connection.execute(
                        "UPDATE revisions SET modules = ? WHERE name = ?", (to_json(draft.modules), previous.name)
                    )
                    continue
                if previous is not None:
                    retired.append(_retire(connection, previous))
                created.append(_add_revision(connection, app, draft, content, now_s))
            if created or retired:
                connection.execute("UPDATE apps SET deployed_at = ? WHERE name = ?", (now_s, app.name))
            active = tuple(_active(connection, app.name))
            row = connection.execute("SELECT * FROM apps WHERE name = ?", (app.name,)).fetchone()
        return Deployment(app=_app(row), active=active, created=tuple(created), retired=tuple(retired))

    def remove(self, name: str) -> tuple[RevisionRecord, ...]:
        """Forget an app and return the revisions that this retired.

        Raises:
            FunctionNotFoundError: there is no such app.
        """
        with self._database.write() as connection:
            retired = tuple(_retire(connection, revision) for revision in _active(connection, name))
            if connection.execute("DELETE FROM apps WHERE name = ?", (name,)).rowcount == 0:
                raise FunctionNotFoundError(f"there is no app {name!r}")
        return retired

    def get(self, name: str) -> AppRecord:
        """Return a deployed app.

        Raises:
            FunctionNotFoundError: there is no such app.
        """
        row = self._database.row("SELECT * FROM apps WHERE name = ?", (name,))
        if row is None:
            raise FunctionNotFoundError(f"there is no app {name!r}")
        return _app(row)

    def all(self) -> tuple[AppRecord, ...]:
        """Return the deployed apps by name."""
        return tuple(_app(row) for row in self._database.rows("SELECT * FROM apps ORDER BY name"))

    def active(self, app: str | None = None) -> tuple[RevisionRecord, ...]:
        """Return the revisions that serve, one per function, by function name; of one app when it is named."""
        rows = self._database.rows(
            "SELECT * FROM revisions WHERE state = 'active' AND (?1 IS NULL OR app = ?1) ORDER BY function", (app,)
        )
        return tuple(_revision(row) for row in rows)

    def function(self, name: str) -> RevisionRecord:
        """Return the revision that serves a function.

        Raises:
            FunctionNotFoundError: no deployed app has such a function.
        """
        row = self._database.row("SELECT * FROM revisions WHERE function = ? AND state = 'active'", (name,))
        if row is None:
            raise FunctionNotFoundError(f"there is no function {name!r}")
        return _revision(row)

    def history(self, function: str) -> tuple[RevisionRecord, ...]:
        """Return a function's revisions, the newest first: the active one, if any, and up to 50 retired ones."""
        rows = self._database.rows("SELECT * FROM revisions WHERE function = ? ORDER BY number DESC", (function,))
        return tuple(_revision(row) for row in rows)


def _check_owner(connection: sqlite3.Connection, function: str, app: str) -> None:
    row = connection.execute("SELECT app FROM functions WHERE name = ?", (function,)).fetchone()
    if row is not None and row["app"] is not None and row["app"] != app:
        raise NameTakenError(
            f"function {function!r} of app {app!r}: app {row['app']!r} owns this name; "
            f"rename the function or remove that app",
            function=function,
            owner=row["app"],
        )


def _put_app(connection: sqlite3.Connection, app: AppRecord) -> None:
    connection.execute(
        """INSERT INTO apps
           (name, target, source_digest, source, environment_digest, requirements, imports, deployed_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, 0)
           ON CONFLICT (name) DO UPDATE SET
             target = excluded.target, source_digest = excluded.source_digest, source = excluded.source,
             environment_digest = excluded.environment_digest, requirements = excluded.requirements,
             imports = excluded.imports""",
        (
            app.name,
            app.target,
            app.source_digest,
            to_json(dict(app.source)),
            app.environment_digest,
            to_json(app.requirements),
            to_json(app.imports),
        ),
    )


def _content(app: AppRecord, draft: RevisionDraft) -> str:
    """Return the digest of everything that makes a revision what it is."""
    parts = (
        app.source_digest,
        dict(app.source),
        app.environment_digest,
        app.imports,
        dict(draft.spec),
        dict(draft.schema),
    )
    return hashlib.sha256(to_json(parts).encode()).hexdigest()


def _has_content(connection: sqlite3.Connection, revision: str, content: str) -> bool:
    row = connection.execute("SELECT content FROM revisions WHERE name = ?", (revision,)).fetchone()
    return bool(row["content"] == content)


def _active(connection: sqlite3.Connection, app: str) -> list[RevisionRecord]:
    rows = connection.execute("SELECT * FROM revisions WHERE app = ? AND state = 'active' ORDER BY function", (app,))
    return [_revision(row) for row in rows.fetchall()]


def _retire(connection: sqlite3.Connection, revision: RevisionRecord) -> RevisionRecord:
    row = connection.execute(
        "UPDATE revisions SET state = 'retired' WHERE name = ? RETURNING *", (revision.name,)
    ).fetchone()
    connection.execute(
        """DELETE FROM revisions WHERE state = 'retired' AND function = ?1 AND number <= (
             SELECT number FROM revisions WHERE state = 'retired' AND function = ?1
             ORDER BY number DESC LIMIT 1 OFFSET ?2)""",
        (revision.function, RETIRED_KEPT),
    )
    return _revision(row)


def _add_revision(
    connection: sqlite3.Connection, app: AppRecord, draft: RevisionDraft, content: str, now_s: float
) -> RevisionRecord:
    number = connection.execute(
        """INSERT INTO functions (name, app, last_number) VALUES (?, ?, 1)
           ON CONFLICT (name) DO UPDATE SET app = excluded.app, last_number = last_number + 1
           RETURNING last_number""",
        (draft.function, app.name),
    ).fetchone()[0]
    row = connection.execute(
        """INSERT INTO revisions (name, function, number, app, source_digest, environment_digest, content, spec, schema,
                                  modules, created_at, state)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'active') RETURNING *""",
        (
            f"{draft.function}-{number:05d}",
            draft.function,
            number,
            app.name,
            app.source_digest,
            app.environment_digest,
            content,
            to_json(dict(draft.spec)),
            to_json(dict(draft.schema)),
            to_json(draft.modules),
            now_s,
        ),
    ).fetchone()
    return _revision(row)


def _app(row: sqlite3.Row) -> AppRecord:
    return AppRecord(
        name=row["name"],
        target=row["target"],
        source_digest=row["source_digest"],
        source=json.loads(row["source"]),
        environment_digest=row["environment_digest"],
        requirements=tuple(json.loads(row["requirements"])),
        imports=tuple(json.loads(row["imports"])),
        deployed_at=row["deployed_at"],
    )


def _revision(row: sqlite3.Row) -> RevisionRecord:
    return RevisionRecord(
        name=row["name"],
        function=row["function"],
        number=row["number"],
        app=row["app"],
        source_digest=row["source_digest"],
        environment_digest=row["environment_digest"],
        spec=json.loads(row["spec"]),
        schema=json.loads(row["schema"]),
        modules=tuple(json.loads(row["modules"])),
        created_at=row["created_at"],
        state=row["state"],
    )
