"""Which apps are deployed, and every revision that their functions had."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from skerry.engine.records import deployments
from skerry.engine.records.model_pin import ModelPin
from skerry.engine.records.revisions import (
    AppRecord,
    Deployment,
    KeptDeployment,
    RevisionDraft,
    RevisionRecord,
)
from skerry.engine.records.schema import Database, to_json
from skerry.errors import ConfigError, FunctionNotFoundError, NameTakenError

RETIRED_KEPT = 50  # retired revisions that remain readable per function


class Apps:
    """Apps, functions and revisions in the records."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def deploy(
        self,
        app: AppRecord,
        drafts: Sequence[RevisionDraft],
        *,
        now_s: float,
        back_to: int | None = None,
        successors: Mapping[str, RevisionRecord] | None = None,
    ) -> Deployment:
        """Make an app's functions exactly those given, all at once.

        A function whose source, environment, imports, spec and schema are what they were keeps its revision. A function
        that the app no longer has is retired and its name is free again.

        Args:
            app: The app; its ``deployed_at`` is not read.
            drafts: Its functions, each name once.
            now_s: Unix time, seconds.
            back_to: The number of the kept deployment that this is again. Those after it are forgotten, so that
                another rollback goes further back.
            successors: What `successor` has returned for some of the functions: these keep their names.

        Raises:
            NameTakenError: another app owns one of the names; nothing was changed.
            ConfigError: a name is given twice.
        """
        names = [draft.function for draft in drafts]
        if len(set(names)) != len(names):
            raise ConfigError(f"app {app.name!r} declares a function name twice: {', '.join(sorted(names))}")
        numbers = {function: revision.number for function, revision in (successors or {}).items()}
        created: list[RevisionRecord] = []
        retired: list[RevisionRecord] = []
        with self._database.write() as connection:
            for name in names:
                _check_owner(connection, name, app.name)
            before = {revision.function: revision for revision in _active(connection, app.name)}
            _keep_what_is_there(connection, app.name, list(before.values()))
            _put_app(connection, app)
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
                number = numbers.get(draft.function)
                created.append(_add_revision(connection, app, draft, content, now_s, number=number))
            if created or retired:
                connection.execute("UPDATE apps SET deployed_at = ? WHERE name = ?", (now_s, app.name))
            if back_to is not None:
                deployments.forget_after(connection, app.name, back_to)
            deployments.keep(connection, app, drafts, deployed_at=now_s)
            active = tuple(_active(connection, app.name))
            row = connection.execute("SELECT * FROM apps WHERE name = ?", (app.name,)).fetchone()
        return Deployment(app=_app(row), active=active, created=tuple(created), retired=tuple(retired))

    def successor(self, app: AppRecord, draft: RevisionDraft, *, now_s: float) -> RevisionRecord | None:
        """Return what `deploy` would put in the place of the revision that serves a function of an app.

        It has a name of its own from now on, and is not on record before `deploy`.

        Returns:
            The revision; none where `deploy` would keep the one that serves, or where the app has no such function.
        """
        with self._database.write() as connection:
            row = connection.execute(
                "SELECT content FROM revisions WHERE function = ? AND app = ? AND state = 'active'",
                (draft.function, app.name),
            ).fetchone()
            if row is None or row["content"] == _content(app, draft):
                return None
            number = _next_number(connection, draft.function, app.name)
        return RevisionRecord(
            name=_name(draft.function, number),
            function=draft.function,
            number=number,
            app=app.name,
            source_digest=app.source_digest,
            environment_digest=app.environment_digest,
            spec=draft.spec,
            schema=draft.schema,
            modules=draft.modules,
            created_at=now_s,
            state="prepared",
            model=draft.model,
        )

    def prepare(self, function: str, model: ModelPin, *, now_s: float) -> RevisionRecord:
        """Return a further revision of what serves a function, for another version of its model.

        It has a name of its own from now on, and is not on record before `switch`.

        Raises:
            FunctionNotFoundError: no deployed app has such a function.
        """
        serving = self.function(function)
        with self._database.write() as connection:
            number = _next_number(connection, function, serving.app)
        name = _name(function, number)
        return replace(serving, name=name, number=number, model=model, created_at=now_s, state="prepared")

    def switch(self, revision: RevisionRecord) -> RevisionRecord:
        """Let a prepared revision serve its function from now on, in the place of the one that does.

        Raises:
            FunctionNotFoundError: no deployed app has such a function any more.
            ConfigError: the function was deployed anew since the revision was prepared; nothing was changed.
        """
        with self._database.write() as connection:
            row = connection.execute(
                "SELECT * FROM revisions WHERE function = ? AND state = 'active'", (revision.function,)
            ).fetchone()
            if row is None:
                raise FunctionNotFoundError(f"there is no function {revision.function!r} any more")
            serving = _revision(row)
            if serving.name == revision.name:
                return serving
            if _without_model(serving) != _without_model(revision):
                raise ConfigError(
                    f"function {revision.function!r} was deployed anew since {revision.name} was prepared"
                )
            app = _app(connection.execute("SELECT * FROM apps WHERE name = ?", (serving.app,)).fetchone())
            draft = RevisionDraft(
                function=revision.function,
                spec=revision.spec,
                schema=revision.schema,
                modules=serving.modules,
                model=revision.model,
            )
            _retire(connection, serving)
            return _add_revision(
                connection, app, draft, _content(app, draft), revision.created_at, number=revision.number
            )

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

    def kept(self, function: str) -> tuple[KeptDeployment, ...]:
        """Return the deployments that are kept of the app of a function, the present one first.

        Empty for an app that an older Skerry has deployed, until its next deployment.

        Args:
            function: One of the app's functions, or one that its latest deployment has removed.

        Raises:
            FunctionNotFoundError: there is no such function.
        """
        try:
            return deployments.find_kept(self._database, self.function(function).app)
        except FunctionNotFoundError:
            for app in self.all():
                kept = deployments.find_kept(self._database, app.name)
                if any(draft.function == function for one in kept[:2] for draft in one.drafts):
                    return kept
            raise

    def before(self, function: str) -> KeptDeployment:
        """Return the deployment before the latest of the app of a function, as long as it is kept.

        Args:
            function: As of `kept`.

        Raises:
            FunctionNotFoundError: there is no such function.
            ConfigError: nothing is kept from before.
        """
        kept = self.kept(function)
        if len(kept) < 2:
            raise ConfigError(
                f"there is nothing to go back to: no deployment of the app of {function!r} before the present one "
                "is kept",
                hint="deploy the earlier source",
            )
        return kept[1]

    def source_digests(self) -> frozenset[str]:
        """Return the sources that deployed apps run, or would run after a rollback."""
        rows = self._database.rows(
            "SELECT source_digest FROM apps UNION SELECT json_extract(record, '$.source_digest') FROM deployments"
        )
        return frozenset(str(row[0]) for row in rows)

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


def _keep_what_is_there(connection: sqlite3.Connection, app: str, active: Sequence[RevisionRecord]) -> None:
    """Keep what an older Skerry has deployed, before it is replaced."""
    row = connection.execute("SELECT * FROM apps WHERE name = ?", (app,)).fetchone()
    if row is not None and not deployments.is_kept(connection, app):
        deployments.keep(connection, _app(row), active, deployed_at=row["deployed_at"])


def _put_app(connection: sqlite3.Connection, app: AppRecord) -> None:
    connection.execute(
        """INSERT INTO apps
           (name, target, source_digest, source, environment_digest, requirements, imports, event_sources, deployed_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)
           ON CONFLICT (name) DO UPDATE SET
             target = excluded.target, source_digest = excluded.source_digest, source = excluded.source,
             environment_digest = excluded.environment_digest, requirements = excluded.requirements,
             imports = excluded.imports, event_sources = excluded.event_sources""",
        (
            app.name,
            app.target,
            app.source_digest,
            to_json(dict(app.source)),
            app.environment_digest,
            to_json(app.requirements),
            to_json(app.imports),
            to_json({name: dict(source) for name, source in app.event_sources.items()}),
        ),
    )


def _content(app: AppRecord, draft: RevisionDraft) -> str:
    """Return the digest of everything that makes a revision what it is."""
    parts: tuple[Any, ...] = (
        app.source_digest,
        dict(app.source),
        app.environment_digest,
        app.imports,
        dict(draft.spec),
        dict(draft.schema),
    )
    if draft.model is not None:  # the digests of revisions without a model are what they always were
        parts += draft.model.identity
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
    connection: sqlite3.Connection,
    app: AppRecord,
    draft: RevisionDraft,
    content: str,
    now_s: float,
    *,
    number: int | None = None,
) -> RevisionRecord:
    if number is None:
        number = _next_number(connection, draft.function, app.name)
    row = connection.execute(
        """INSERT INTO revisions (name, function, number, app, source_digest, environment_digest, content, spec, schema,
                                  modules, created_at, model, state)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'active') RETURNING *""",
        (
            _name(draft.function, number),
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
            None if draft.model is None else to_json(draft.model.to_dict()),
        ),
    ).fetchone()
    return _revision(row)


def _next_number(connection: sqlite3.Connection, function: str, app: str) -> int:
    row = connection.execute(
        """INSERT INTO functions (name, app, last_number) VALUES (?, ?, 1)
           ON CONFLICT (name) DO UPDATE SET app = excluded.app, last_number = last_number + 1
           RETURNING last_number""",
        (function, app),
    ).fetchone()
    return int(row[0])


def _name(function: str, number: int) -> str:
    return f"{function}-{number:05d}"


def _without_model(revision: RevisionRecord) -> tuple[Any, ...]:
    """Return what two revisions of a function have in common that differ by their model's version alone."""
    return revision.app, revision.source_digest, revision.environment_digest, revision.spec, revision.schema


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
        event_sources=json.loads(row["event_sources"]),
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
        model=None if row["model"] is None else ModelPin.from_dict(json.loads(row["model"])),
    )
