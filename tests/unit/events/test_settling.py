"""Deliveries that are settled go together, and no other goes with them."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.events.backlog import SqliteBacklog
from skerry.events.backlog.base import Settled
from skerry.events.backlog.sqlite import _runs
from support.broker_world import entry

TRIGGERS = ("a", "b", "c")


@given(st.sets(st.tuples(st.sampled_from(TRIGGERS), st.integers(1, 30))))
def test_runs_are_what_was_settled_and_cannot_be_longer(places):
    runs = _runs(places)

    assert [(name, number) for name, first, last in runs for number in range(first, last + 1)] == sorted(places)
    assert all((name, last + 1) not in places for name, _, last in runs)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_what_is_not_settled_is_still_there(data):
    takers = data.draw(st.lists(st.sets(st.sampled_from(TRIGGERS)), min_size=1, max_size=12))

    async def work(folder):
        backlog = SqliteBacklog(Path(folder) / "events.sqlite3")
        await backlog.put([(entry(str(number)), sorted(names)) for number, names in enumerate(takers)])
        left = {(name, one.position): one for name in TRIGGERS for one in await backlog.take(name, 0, 100)}
        for (name, position), one in data.draw(st.permutations(list(left.items()))):
            outcome = data.draw(st.sampled_from(["none", "done", "again", "dead"]))
            if outcome != "none":
                backlog.settle(Settled(name, one, outcome))
            if outcome in ("done", "dead"):
                del left[name, position]
        await backlog.flush()
        found = [(name, one.position) for name in TRIGGERS for one in await backlog.take(name, 0, 100)]
        await backlog.close()
        assert sorted(found) == sorted(left)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(work(folder))
