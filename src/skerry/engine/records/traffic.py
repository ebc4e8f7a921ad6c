"""Plans of traffic between versions, kept over a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from skerry.engine.records.schema import Database, to_json


class TrafficPlans:
    """The plans of the functions that try a candidate.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, dict[str, Any]]:
        """Return the plans by function."""
        return {row["function"]: json.loads(row["plan"]) for row in self._database.rows("SELECT * FROM traffic")}

    def save(self, function: str, plan: Mapping[str, Any] | None) -> None:
        """Keep a function's plan, or forget it.

        Raises:
            UnavailableError: the records cannot be written.
        """
        with self._database.write() as connection:
            if plan is None:
                connection.execute("DELETE FROM traffic WHERE function = ?", (function,))
            else:
                connection.execute(
                    """INSERT INTO traffic (function, plan) VALUES (?, ?)
                       ON CONFLICT (function) DO UPDATE SET plan = excluded.plan""",
                    (function, to_json(dict(plan))),
                )
