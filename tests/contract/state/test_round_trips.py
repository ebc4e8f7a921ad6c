"""How often a state is gone to: a batch goes once, whatever is in it."""

import sqlite3
from contextlib import contextmanager

import pytest

POINTS = 60


@pytest.fixture
def count_trips(state, request, monkeypatch, url):
    """What counts the times that a state is gone to while a block runs: transactions of SQLite, commands to Redis."""
    if url.startswith("unix:"):
        return lambda: commands_to(url)
    told = []

    class Told(sqlite3.Connection):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.set_trace_callback(told.append)

    monkeypatch.setattr(sqlite3, "connect", lambda *given, **options: Told(*given, **{**options, "factory": Told}))

    @contextmanager
    def transactions():
        before, trips = len(told), []
        yield trips
        # One statement alone, outside of BEGIN, is a transaction too.
        trips += [text for text, open_ in within(told[before:]) if not open_ or text.startswith("BEGIN")]

    return transactions


def within(statements):
    """Yield each statement, and whether a transaction that it did not begin is open."""
    open_ = False
    for text in statements:
        yield text, open_
        open_ = text.startswith("BEGIN") or (open_ and text not in ("COMMIT", "ROLLBACK"))


@contextmanager
def commands_to(url):
    import redis

    trips = []
    with redis.Redis.from_url(url) as client, redis.Redis.from_url(url) as other, client.monitor() as monitor:
        other.ping()
        next(command for command in monitor.listen() if command["command"] == "PING")  # both are connected by now
        yield trips
        other.echo("that was all")
        for command in monitor.listen():
            if "that was all" in command["command"]:
                return
            if command["client_type"] != "lua":  # what the script does on the server is no trip
                trips.append(command["command"])


def test_a_batch_takes_a_fifth_of_the_round_trips_or_less(state, count_trips):
    points = {f"points/{number}": [number, number / 2] for number in range(POINTS)}
    state.get("warm-up")  # opens the connection
    with count_trips() as one_by_one:
        for key, point in points.items():
            state.put(key, point)
        found = {key: state.get(key) for key in points}
    with count_trips() as batched:
        with state.batch() as batch:
            for key, point in points.items():
                batch.put(key, point)
        with state.batch() as batch:
            replies = {key: batch.get(key) for key in points}
    assert found == points == {key: reply.value for key, reply in replies.items()}
    assert len(one_by_one) == 2 * POINTS
    assert len(batched) == 2
    assert len(one_by_one) >= 5 * len(batched)
