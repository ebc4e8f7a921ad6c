"""Runs that events begin: each event is answered, whatever goes wrong."""

import asyncio
import json
import sqlite3
from types import SimpleNamespace

from skerry.engine.chains.hosting import ChainHosting
from skerry.engine.home import Home
from skerry.events.feed import Parcel
from skerry.events.reading import read_events
from skerry.payload import event_http
from skerry.runtime.front import Front
from skerry.spec import FunctionSpec
from skerry.spec.chain import CallStep, ChainPlan

SERVED = {
    "c": SimpleNamespace(
        pool=SimpleNamespace(spec=FunctionSpec(name="c", chain=ChainPlan(steps=(CallStep(function="f"),))))
    )
}
EVENT = {"specversion": "1.0", "type": "t", "source": "/s", "id": "1", "data": 1}


def test_an_event_whose_run_cannot_begin_is_answered_and_given_again(tmp_path, run_loop, monkeypatch, caplog):
    async def work():
        hosting = ChainHosting(Home(tmp_path), None, SimpleNamespace(served=SERVED), Front())

        async def fail(order):
            raise sqlite3.OperationalError("database is locked")

        answered = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(hosting.conductor, "begin", fail)
        hosting.begin_for("c", Parcel(json.dumps(EVENT).encode(), event_http.STRUCTURED, 0, answered.set_result))
        outcome = await asyncio.wait_for(answered, 20.0)
        assert (outcome.status, outcome.wait_s) == (503, 1.0)
        assert "database is locked" in outcome.message
        await hosting.finish()

    run_loop(work())
    assert "database is locked" in caplog.text


def test_an_event_under_the_name_of_a_sources_does_not_keep_it_from_beginning_its_run(tmp_path, run_loop, monkeypatch):
    body = json.dumps({**EVENT, "source": "/skerry/source/app/inbox", "id": "rows.csv@1"}).encode()
    (forged,) = read_events({"content-type": event_http.STRUCTURED}, body)
    begun = []

    async def begin(order):
        begun.append(order.id)

    async def work():
        hosting = ChainHosting(Home(tmp_path), None, SimpleNamespace(served=SERVED), Front())
        monkeypatch.setattr(hosting.conductor, "begin", begin)
        for document in (forged.document, body, forged.document):
            answered = asyncio.get_running_loop().create_future()
            hosting.begin_for("c", Parcel(document, event_http.STRUCTURED, 0, answered.set_result))
            assert (await asyncio.wait_for(answered, 20.0)).status == 200
        await hosting.finish()

    run_loop(work())
    assert begun[0] == begun[2] != begun[1]
