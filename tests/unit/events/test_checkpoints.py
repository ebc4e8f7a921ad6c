"""The log of the file while events are written: it is moved in a thread, and does not grow for ever."""

import asyncio
import os
import sqlite3
import time

import pytest

from skerry.errors import UnavailableError
from skerry.events.backlog import Settled, SqliteBacklog, checkpoints
from skerry.events.delivery import Entry


def entry(number):
    document = b'{"specversion":"1.0","id":"%d","source":"/s","type":"t","data":"%s"}' % (number, b"x" * 2000)
    return Entry("/s", str(number), "t", None, document, {})


def test_the_log_is_moved_while_events_come_and_nothing_is_lost(tmp_path, run_loop, monkeypatch):
    monkeypatch.setattr(checkpoints, "PERIOD_S", 0.01)
    monkeypatch.setattr(checkpoints, "SOME_BYTES", 2**15)
    monkeypatch.setattr(checkpoints, "MUCH_BYTES", 2**18)
    path = tmp_path / "events.sqlite3"
    moved = []
    move = checkpoints.Checkpoints._checkpoint
    monkeypatch.setattr(
        checkpoints.Checkpoints, "_checkpoint", lambda self, how: (moved.append(how), move(self, how))[-1]
    )

    async def run():
        backlog = SqliteBacklog(path)
        number, until = 0, time.monotonic() + 20
        written_bytes, largest_bytes = 0, 0
        while len(moved) < 5 or written_bytes < 3 * largest_bytes:  # the log begins anew, again and again
            assert time.monotonic() < until, moved
            await backlog.put([(entry(n), ["a"]) for n in range(number, number + 20)])
            number += 20
            written_bytes += 20 * 2000
            largest_bytes = max(largest_bytes, os.stat(f"{path}-wal").st_size)
            await asyncio.sleep(0)
        while "TRUNCATE" not in moved:  # the writer rests
            assert time.monotonic() < until, moved
            await asyncio.sleep(0.01)
        for one in await backlog.take("a", 0, 10):
            backlog.settle(Settled("a", one, "done"))
        await backlog.flush()
        assert (await backlog.waiting())["a"] == number - 10
        await backlog.close()
        return number

    number = run_loop(run())
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone()[0] == number
    connection.close()


def test_a_file_that_cannot_be_written_refuses_events_and_keeps_what_was_settled(tmp_path, run_loop):
    async def run():
        backlog = SqliteBacklog(tmp_path / "events.sqlite3")
        await backlog.put([(entry(1), ["a"])])
        (one,) = await backlog.take("a", 0, 1)
        other = sqlite3.connect(tmp_path / "events.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # another program holds the file
        backlog.settle(Settled("a", one, "done"))
        with pytest.raises(UnavailableError) as refused:
            await backlog.put([(entry(2), ["a"])])
        assert refused.value.details["retry_after_s"] == 1
        other.execute("ROLLBACK")
        other.close()
        await backlog.put([(entry(2), ["a"])])
        assert await backlog.waiting() == {"a": 1}
        await backlog.close()

    run_loop(run())
