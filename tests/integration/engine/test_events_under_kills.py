"""Events while engine, broker and workers are killed at random: nothing lost, effects once, keys in order.

``SKERRY_TEST_EVENTS=100000 pytest -s tests/integration/engine/test_events_under_kills.py`` is the long form.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time

import pytest

from support.engine_process import wait_until, write_app
from support.nats_server import NatsServer

EVENTS = int(os.environ.get("SKERRY_TEST_EVENTS", "2000"))
ENGINE_KILLS = max(3, EVENTS // 5000)
KEYS = 20
BATCH = 20
APP = """
import sqlite3

app = skerry.App("ledger")

def write(events):
    database = sqlite3.connect({database!r}, timeout=60, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = OFF")
        for one in events:
            time.sleep(0.001)
            database.execute("INSERT INTO runs VALUES (?, ?)", (one.source, one.id))
            database.execute(
                "INSERT OR IGNORE INTO effects (source, id, key, place) VALUES (?, ?, ?, ?)",
                (one.source, one.id, one.extensions["partitionkey"], one.data),
            )
    finally:
        database.close()

@app.on(
    skerry.Event(type="entry"),
    batch=10,
    retry=skerry.Retry(attempts=1000, delay="10ms", max_delay="100ms"),
)
@app.function(scale=skerry.Scale(min=2, max=2))
def book(events: list[skerry.Event]) -> None:
    write(events)
"""


class Killer:
    """Kills a worker of the engine now and then, until it is told to stop."""

    def __init__(self, engine, chance):
        self.kills = 0
        self._engine = engine
        self._chance = chance
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(self._chance.uniform(0.05, 0.3)):
            with contextlib.suppress(OSError, ProcessLookupError, http.client.HTTPException, ValueError, KeyError):
                workers = self._engine.live_workers("book")
                if workers:
                    os.kill(self._chance.choice(workers), signal.SIGKILL)
                    self.kills += 1


def publish(engine, batch):
    """Publish until it is durable, however often the engine dies meanwhile; an event is known by source and id."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = engine.tcp("POST", "/events", batch, {"content-type": "application/cloudevents-batch+json"})
            if answer.status == 202:
                return
            assert answer.status in (429, 503), answer
        time.sleep(0.01)
    raise AssertionError("the engine did not take a batch within 60 s")


def waiting(engine):
    return engine.control("GET", "/broker").json()["waiting"]


@pytest.fixture(params=["sqlite", "nats"])
def nats(request, tmp_path):
    """The server that keeps the events, none where the engine's own file does."""
    if request.param == "sqlite":
        yield None
        return
    pytest.importorskip("nats", reason='no nats-py: pip install "skerry[nats]"')
    server = NatsServer(tmp_path).start()
    yield server
    server.kill()


@pytest.mark.slow
@pytest.mark.timeout(max(300, EVENTS // 20))
def test_random_kills_lose_no_event_repeat_no_effect_and_keep_the_order_of_keys(make_engine, tmp_path, nats):
    chance = random.Random(8)
    path = tmp_path / "ledger.sqlite3"
    ledger = sqlite3.connect(path, isolation_level=None)
    ledger.execute("PRAGMA journal_mode = WAL")
    ledger.execute("CREATE TABLE runs (source TEXT, id TEXT)")
    ledger.execute(
        "CREATE TABLE effects (number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, id TEXT, key TEXT, place INTEGER,"
        " UNIQUE (source, id))"
    )
    engine = make_engine(environment={} if nats is None else {"SKERRY_EVENTS": nats.url}).start()
    engine.deploy(write_app(tmp_path / "app.py", APP.format(database=str(path))))
    kill_at = sorted(chance.sample(range(1, EVENTS // BATCH), ENGINE_KILLS))
    killer = Killer(engine, chance)
    restarts = []
    try:
        for number in range(EVENTS // BATCH):
            events = [
                {
                    "specversion": "1.0",
                    "type": "entry",
                    "source": "/clerk",
                    "id": str(place),
                    "partitionkey": f"k{place % KEYS}",
                    "data": place,
                }
                for place in range(number * BATCH, (number + 1) * BATCH)
            ]
            if kill_at and number == kill_at[0]:
                kill_at.pop(0)
                # The blow falls while this batch is on its way: answered or not, it is sent again.
                blow = threading.Timer(chance.uniform(0, 0.005), engine.kill)
                blow.start()
                with contextlib.suppress(OSError, http.client.HTTPException):
                    engine.tcp(
                        "POST",
                        "/events",
                        json.dumps(events).encode(),
                        {"content-type": "application/cloudevents-batch+json"},
                    )
                blow.join()
                if nats is not None:
                    nats.kill()
                    nats.start()
                engine.start()
                restarts.append(number)
            publish(engine, json.dumps(events).encode())
        wait_until(lambda: killer.kills >= 3 or waiting(engine) == 0, within_s=60, what="the death of some workers")
        killer.stop()
        wait_until(
            lambda: waiting(engine) == 0,
            within_s=90 + EVENTS / 100,
            what="the delivery of all events",
        )
    finally:
        killer.stop()
    assert len(restarts) == ENGINE_KILLS
    assert killer.kills > 0
    assert engine.control("GET", "/broker/dead").json() == []
    effects = ledger.execute("SELECT id, key, place FROM effects ORDER BY number").fetchall()
    runs = ledger.execute("SELECT count(*), count(DISTINCT id) FROM runs").fetchone()
    ledger.close()
    assert sorted(int(id) for id, _, _ in effects) == list(range(EVENTS))
    assert runs[1] == EVENTS
    print(f"{EVENTS} events, {runs[0]} runs, {ENGINE_KILLS} kills of the engine, {killer.kills} of workers")  # with -s
    for key in {key for _, key, _ in effects}:
        places = [place for _, other, place in effects if other == key]
        assert places == sorted(places), key
    engine.stop()
