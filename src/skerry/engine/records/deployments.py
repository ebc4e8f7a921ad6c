"""The latest deployments of each app, so that a rollback knows what there was before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict

from skerry.engine.records.revisions import AppRecord, EarlierDeployment, RevisionDraft
from skerry.engine.records.schema import Database, to_json
from skerry.errors import ConfigError

KEPT = 10  # deployments per app, the present one among them


def keep(connection: sqlite3.Connection, app: AppRecord, drafts: Sequence[RevisionDraft], *, now_s: float) -> None:
    """Note a deployment as the latest of its app, and forget those that are too many."""
    row = connection.execute("SELECT max(number) FROM deployments WHERE app = ?", (app.name,)).fetchone()
    number = (row[0] or 0) + 1
    functions = [
        {"function": draft.function, "spec": draft.spec, "schema": draft.schema, "modules": draft.modules}
        for draft in drafts
    ]
    connection.execute(
        "INSERT INTO deployments (app, number, record, drafts, deployed_at) VALUES (?, ?, ?, ?, ?)",
        (app.name, number, to_json(asdict(app)), to_json(functions), now_s),
    )
    connection.execute("DELETE FROM deployments WHERE app = ? AND number <= ?", (app.name, number - KEPT))


def forget_latest(connection: sqlite3.Connection, app: str) -> None:
    """Forget the latest deployment of an app: the one before is what serves now."""
    connection.execute(
        "DELETE FROM deployments WHERE app = ?1 AND number = (SELECT max(number) FROM deployments WHERE app = ?1)",
        (app,),
    )


def before_latest(database: Database, app: str) -> EarlierDeployment:
    """Return the deployment of an app before the latest.

    Raises:
        ConfigError: nothing is kept from before.
    """
    row = database.row("SELECT * FROM deployments WHERE app = ? ORDER BY number DESC LIMIT 1 OFFSET 1", (app,))
    if row is None:
        raise ConfigError(
            f"there is nothing to go back to: no deployment of app {app!r} before the present one is kept",
            hint="deploy the earlier source",
        )
    record = json.loads(row["record"])
    lists = {name: tuple(record[name]) for name in ("requirements", "imports")}
    drafts = (RevisionDraft(**{**draft, "modules": tuple(draft["modules"])}) for draft in json.loads(row["drafts"]))
    return EarlierDeployment(
        app=AppRecord(**{**record, **lists}), drafts=tuple(drafts), deployed_at=float(row["deployed_at"])
    )
