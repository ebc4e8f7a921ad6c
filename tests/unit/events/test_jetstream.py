"""What the backlog on NATS asks of the server: everything that is there, in order, nothing lost on the way."""

import asyncio
import logging

import orjson
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import UnavailableError
from skerry.events.backlog.base import Settled
from skerry.events.backlog.jetstream import backlog as module
from skerry.events.backlog.jetstream import claim, link
from skerry.events.backlog.jetstream.backlog import JetStreamBacklog
from skerry.events.backlog.jetstream.progress import Progress
from skerry.events.backlog.jetstream.reader import Reader
from skerry.events.delivery import Entry
from support.nats_server import NatsServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("nats", reason='no nats-py: pip install "skerry[nats]"')
    server = NatsServer(tmp_path_factory.mktemp("nats")).start()
    yield server
    server.kill()


def run_with(server, work):
    async def run():
        connection = await link.connect(server.url)
        try:
            return await work(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(run())


def test_a_message_that_was_lost_on_its_way_is_read_all_the_same(server):
    async def read(stream):
        await stream.add_stream(name="lost", subjects=["lost.events"])
        reader = Reader(stream, "lost", "lost.events")
        for number in range(6):
            await stream.publish("lost.events", b"%d" % number)
        bodies = [message.data for message in await reader.fetch(0, 2)]
        # Another takes two messages under the reader's name: the server counts them as read, and the reader has not
        # seen them, as when its connection breaks while they come.
        (consumer,) = await stream.consumers_info("lost")
        thief = await stream.pull_subscribe_bind(consumer.name, "lost")
        assert [message.data for message in await thief.fetch(2, timeout=10)] == [b"2", b"3"]
        while len(bodies) < 6:
            bodies += [message.data for message in await reader.fetch(len(bodies), 6 - len(bodies))]
        await reader.close()
        return bodies

    assert run_with(server, read) == [b"%d" % number for number in range(6)]


def test_what_a_bucket_holds_is_known_however_fast_the_server_is(server):
    async def look(stream):
        bucket = await stream.create_key_value(bucket="kept")
        assert await link.kept_values(stream, bucket, "kept") == {}
        await bucket.put("one", b"1")
        found = [await link.kept_values(stream, bucket, "kept") for _ in range(50)]
        await bucket.put("two", b"2")
        await bucket.delete("one")
        return found, await link.kept_values(stream, bucket, "kept"), await link.kept_value(bucket, "one")

    found, after, deleted = run_with(server, look)
    assert found == [{"one": b"1"}] * 50
    assert after == {"two": b"2"}
    assert deleted is None


def entry(id):
    document = orjson.dumps({"specversion": "1.0", "source": "/test", "id": id, "type": "t"})
    return Entry("/test", id, "t", None, document, {"type": "t"})


async def taken(backlog, count, prefix):
    """Publish so many events, and return the deliveries."""
    entries = [(entry(f"{prefix}{number}"), ["t"]) for number in range(count)]
    await backlog.put(entries)
    return await backlog.take("t", 0, count)


@pytest.mark.parametrize("how", ["killed", "silent"])
def test_a_backlog_whose_server_is_gone_closes_with_one_line_and_loses_no_event(tmp_path, caplog, monkeypatch, how):
    pytest.importorskip("nats", reason='no nats-py: pip install "skerry[nats]"')
    server = NatsServer(tmp_path).start()
    monkeypatch.setattr(module, "CLOSE_S", 1.0)

    async def lose():
        backlog = await JetStreamBacklog.open(server.url)
        await backlog.keep_only(["t"])
        for one in await taken(backlog, 3, how):
            backlog.settle(Settled("t", one, "done"))
        server.kill() if how == "killed" else server.freeze()
        await backlog.close()

    async def look():
        backlog = await JetStreamBacklog.open(server.url)
        found = await backlog.take("t", 0, 10)
        await backlog.close()
        return len(found)

    try:
        with caplog.at_level(logging.WARNING):
            uvloop.run(lose())  # the engine's loop: a socket that is gone raises something else there
        assert len(caplog.records) == 1, caplog.text
        assert (
            "to events of t are not recorded, and the events may come to them again: the NATS server has not"
            in caplog.text
        )
        server.start() if how == "killed" else server.go_on()
        # What was on its way to a silent server may have arrived all the same.
        assert uvloop.run(look()) in ({3} if how == "killed" else {0, 3})
    finally:
        server.kill()


def test_dead_letters_that_gather_while_the_server_says_nothing_are_all_kept(server, caplog):
    url = f"{server.url}/letters"

    async def bury():
        backlog = await JetStreamBacklog.open(url)
        await backlog.keep_only(["t"])
        given = await taken(backlog, 4, "letter")
        server.freeze()
        for one in given:
            backlog.settle(Settled("t", one, "dead", 500, "as the test says"))
            await asyncio.sleep(2 * module.WRITE_S)  # it begins to write this one before there is the next
        server.go_on()
        await backlog.close()

    async def look():
        backlog = await JetStreamBacklog.open(url)
        found = await backlog.dead(most=10)
        await backlog.close()
        return [one.event for one in found]

    asyncio.run(bury())
    assert sorted(asyncio.run(look())) == [1, 2, 3, 4]


def test_answers_are_recorded_again_after_a_fault_that_nobody_knows(server, caplog, monkeypatch):
    monkeypatch.setattr(module, "WRITE_AGAIN_S", 0.02)

    async def settle():
        backlog = await JetStreamBacklog.open(f"{server.url}/fault")
        await backlog.keep_only(["t"])
        first, second = await taken(backlog, 2, "fault")
        put, recorded, faults = backlog._kept.put, asyncio.Event(), [RuntimeError("its socket is gone")]

        async def put_later(name, value):
            if faults:
                raise faults.pop()
            await put(name, value)
            recorded.set()

        backlog._kept.put = put_later
        for one in (first, second):
            recorded.clear()
            backlog.settle(Settled("t", one, "done"))
            await asyncio.wait_for(recorded.wait(), 60)
        await backlog.close()

    asyncio.run(settle())
    assert "not recorded yet, and tried again: RuntimeError: its socket is gone" in caplog.text


def test_what_was_read_before_the_server_fell_silent_is_given_by_the_next_call(server):
    async def read():
        backlog = await JetStreamBacklog.open(f"{server.url}/half")
        await backlog.keep_only(["t"])
        await backlog.put([(entry(f"half{number}"), ["t"]) for number in range(4)])
        fetch, asked = backlog._fetch, []

        async def fetch_half(trigger, after, most):
            asked.append(most)
            if len(asked) == 2:
                raise TimeoutError
            return await fetch(trigger, after, 2)

        backlog._fetch = fetch_half
        with pytest.raises(UnavailableError, match="cannot be read"):
            await backlog.take("t", 0, 4)
        taken = [await backlog.take("t", 0, 1), await backlog.take("t", 0, 4)]
        waiting = await backlog.waiting()
        await backlog.close()
        return [[one.position for one in each] for each in taken], waiting

    assert asyncio.run(read()) == ([[1], [2, 3, 4]], {"t": 4})


def test_a_backlog_that_has_lost_its_place_and_has_nothing_to_record_closes_without_a_word(server, caplog):
    async def lose():
        backlog = await JetStreamBacklog.open(f"{server.url}/silent")
        backlog._claim._is_lost = True
        await backlog.close()

    asyncio.run(lose())
    assert not caplog.records


def test_a_place_that_was_given_up_is_taken_at_once(server, monkeypatch):
    monkeypatch.setattr(claim, "PATIENCE_S", 3600.0)

    async def come_and_go():
        for owner in ("one", "one", "another"):
            backlog = await JetStreamBacklog.open(f"{server.url}/place", owner=owner)
            await backlog.close()

    asyncio.run(asyncio.wait_for(come_and_go(), 60))


@given(st.data())
def test_what_waits_is_counted_once_whoever_knows_of_it_first(data):
    progress, read_to, open_, unacknowledged, written = Progress(0), 0, set(), set(), 0
    for _ in range(data.draw(st.integers(0, 30))):
        step = data.draw(st.sampled_from(["write", "acknowledge", "read", "finish"]))
        if step == "write":  # the one who wrote it may learn of it late, or never
            written += 1
            unacknowledged.add(written)
        elif step == "acknowledge" and unacknowledged:
            number = data.draw(st.sampled_from(sorted(unacknowledged)))
            unacknowledged.discard(number)
            progress.expect(number, read_to)
        elif step == "read" and read_to < written:
            read_to += 1
            progress.meet(read_to)
            open_.add(read_to)
        elif step == "finish" and open_:
            number = data.draw(st.sampled_from(sorted(open_)))
            open_.discard(number)
            progress.waiting -= not progress.has_finished(number)
            progress.finish(number)
        unread = {number for number in range(read_to + 1, written + 1) if number not in unacknowledged}
        assert progress.waiting == len(open_) + len(unread)
        assert progress.expected == unread


def test_a_server_that_is_not_there_yet_is_waited_for_and_told_of_once(tmp_path, monkeypatch):
    pytest.importorskip("nats", reason='no nats-py: pip install "skerry[nats]"')
    server = NatsServer(tmp_path)
    lines = []

    async def wait_for_it():
        told = asyncio.Event()
        monkeypatch.setattr(link.logger, "warning", lambda text, *parts: (lines.append(text % parts), told.set()))
        connecting = asyncio.create_task(link.connect(server.url))
        await told.wait()
        await asyncio.to_thread(server.start)
        await (await connecting).close()

    try:
        asyncio.run(wait_for_it())
        (line,) = lines
        assert f"the NATS server at {server.url} does not answer" in line
    finally:
        server.kill()
