import asyncio
import sqlite3
from contextlib import closing

from skerry.engine.journal import Journal
from skerry.engine.records import Records


def test_events_that_cannot_be_recorded_are_kept_in_order_and_recorded_later(tmp_path):
    path = tmp_path / "records.sqlite3"

    async def run(records):
        journal = Journal(records.events)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for kind in ("first", "second"):
                journal.add("train", kind, {})
                journal.flush()
            assert records.events.list("train") == ()
            other.execute("ROLLBACK")
        journal.add("train", "third", {})
        journal.flush()

    with Records(path) as records:
        asyncio.run(run(records))
        assert [event.kind for event in records.events.list("train")] == ["first", "second", "third"]
