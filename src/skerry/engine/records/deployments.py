"""The latest deployments of each app, so that a rollback knows what there was before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from skerry.engine.records.revisions import AppRecord, KeptDeployment, RevisionDraft, RevisionRecord
from skerry.engine.records.schema import Database, to_json

KEPT = 10  # deployments per app, the present one among them
# What a rollback makes anew by itself, or what changes nothing that runs.
MOOT = frozenset({"environment_digest", "deployed_at", "target"})


def keep(
    connection: sqlite3.Connection,
    app: AppRecord,
    drafts: Sequence[RevisionDraft | RevisionRecord],
    *,
    deployed_at: float,
) -> None:
    """Note a deployment as the latest of its app, and forget those that are too many.

    One that says what the latest says takes its place: to go back to it would change nothing.
    """
    latest = connection.execute(
        "SELECT * FROM deployments WHERE app = ? ORDER BY number DESC LIMIT 1", (app.name,)
    ).fetchone()
    record = asdict(app)
    functions = [
        {"function": draft.function, "spec": draft.spec, "schema": draft.schema, "modules": draft.modules}
        for draft in drafts
    ]
    values = (to_json(record), to_json(functions))
    if latest is not None and _gist(*values) == _gist(latest["record"], latest["drafts"]):
        connection.execute(
            "UPDATE deployments SET record = ?, drafts = ? WHERE app = ? AND number = ?",
            (*values, app.name, latest["number"]),
        )
        return
    number = 1 if latest is None else latest["number"] + 1
    connection.execute(
        "INSERT INTO deployments (record, drafts, app, number, deployed_at) VALUES (?, ?, ?, ?, ?)",
        (*values, app.name, number, deployed_at),
    )
    connection.execute("DELETE FROM deployments WHERE app = ? AND number <= ?", (app.name, number - KEPT))


def is_kept(connection: sqlite3.Connection, app: str) -> bool:
    """Return whether any deployment of an app is kept; none is of what an older Skerry has deployed."""
    return connection.execute("SELECT 1 FROM deployments WHERE app = ?", (app,)).fetchone() is not None


def _gist(record: str, drafts: str) -> tuple[Any, ...]:
    app = {name: value for name, value in json.loads(record).items() if name not in MOOT}
    functions = {draft["function"]: (draft["spec"], draft["schema"]) for draft in json.loads(drafts)}
    return app, functions


def forget_after(connection: sqlite3.Connection, app: str, number: int) -> None:
    """Forget the deployments of an app after one of them: that one is what serves now."""
    connection.execute("DELETE FROM deployments WHERE app = ? AND number > ?", (app, number))


def find_kept(database: Database, app: str) -> tuple[KeptDeployment, ...]:
    """Return the deployments of an app that are kept, the present one first."""
    return tuple(map(_kept, database.rows("SELECT * FROM deployments WHERE app = ? ORDER BY number DESC", (app,))))


def _kept(row: sqlite3.Row) -> KeptDeployment:
    record = json.loads(row["record"])
    lists = {name: tuple(record[name]) for name in ("requirements", "imports")}
    drafts = (RevisionDraft(**{**draft, "modules": tuple(draft["modules"])}) for draft in json.loads(row["drafts"]))
    return KeptDeployment(
        number=int(row["number"]),
        app=AppRecord(**{**record, **lists}),
        drafts=tuple(drafts),
        deployed_at=float(row["deployed_at"]),
    )
