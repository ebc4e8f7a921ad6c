"""Clients that send too much, too slowly or in odd forms, and clients that do not read."""

import asyncio
import sys
import tracemalloc

import pytest

from skerry.runtime import connection as connection_module
from skerry.runtime.connection import MAX_HEAD_BYTES, Connection
from skerry.runtime.message import Response
from support.echo_service import EchoService, post, read_answer, serving

CHUNKED = b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


class Transport:
    """Takes what a connection sends, and counts the reads that the test feeds it."""

    def __init__(self):
        self.sent = b""
        self.closed = False

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return self.closed

    def can_write_eof(self):
        return False

    def close(self):
        self.closed = True

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


def feed(run_loop, *reads):
    """Give a connection reads of exactly these bytes; return what it sent and the service's requests."""

    async def run():
        service = EchoService()
        connection = Connection(service, trusted=True)
        connection.connection_made(Transport())
        for data in reads:
            connection.data_received(data)
        sent = connection._transport.sent
        connection.connection_lost(None)
        return sent, service.exchanges

    return run_loop(run())


@pytest.mark.parametrize("endless", [b"x-trailer: ", b"x: y\r\n", b"1;extension="])
def test_what_follows_a_head_without_being_its_body_is_bounded(run_loop, endless):
    last = b"" if endless.startswith(b"1") else b"0\r\n"
    fill = b"x: y\r\n" * 2000 if endless.endswith(b"\r\n") else b"y" * 12_000
    sent, exchanges = feed(
        run_loop, CHUNKED + b"2\r\nab\r\n" + last + endless, *[fill] * (MAX_HEAD_BYTES // 12_000 + 2)
    )
    assert sent.startswith(b"HTTP/1.1 400")
    assert not exchanges


def test_trailers_that_come_with_the_end_of_the_body_may_be_long(run_loop):
    sent, _ = feed(run_loop, CHUNKED, b"2\r\nab\r\n0\r\nx: " + b"y" * MAX_HEAD_BYTES * 2 + b"\r\n\r\n")
    assert sent.endswith(b"POST /a ab")


def test_a_body_may_come_byte_by_byte(run_loop):
    body = b"1\r\nx\r\n" * 900
    sent, _ = feed(run_loop, CHUNKED, *(body[i : i + 1] for i in range(len(body))), b"0\r\n\r\n")
    assert sent.endswith(b"POST /a " + b"x" * 900)


def test_a_body_in_tiny_chunks_takes_little_more_memory_than_the_body(run_loop, monkeypatch):
    monkeypatch.setattr(EchoService, "accept", lambda self, exchange: 2**20)

    async def run():
        connection = Connection(EchoService(), trusted=True)
        connection.connection_made(Transport())
        connection.data_received(CHUNKED)
        piece = b"1\r\nx\r\n" * 1000
        tracemalloc.start()
        try:
            for _ in range(200):
                connection.data_received(piece)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            connection.connection_lost(None)

    assert run_loop(run()) < 3 * 200_000


def test_many_requests_that_offer_another_protocol_may_come_in_one_read(run_loop):
    count = 2 * sys.getrecursionlimit()
    offer = post(b"/a", b"x", b"connection: upgrade", b"upgrade: h2c")
    sent, exchanges = feed(run_loop, offer * count)
    assert len(exchanges) == count
    assert sent.count(b"HTTP/1.1 200") == count


def test_the_head_that_offers_another_protocol_may_be_followed_by_its_body_later(run_loop):
    offer = post(b"/a", b"xyz", b"connection: upgrade", b"upgrade: h2c")
    sent, _ = feed(run_loop, offer[:-2], offer[-2:] + b"nonsense\r\n\r\n")
    assert b"POST /a xyz" in sent
    assert sent.count(b"HTTP/1.1 400") == 1


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (b"http://example.org:80/a?b=c", b"/a?b=c"),
        (b"HTTP://example.org/a", b"/a"),
        (b"http://example.org", b"/"),
        (b"http://example.org?b=c", b"/?b=c"),
        (b"/a?to=http://example.org/", b"/a?to=http://example.org/"),
    ],
)
def test_a_target_in_absolute_form_means_its_path(run_loop, target, seen):
    _, [exchange] = feed(run_loop, post(target))
    assert exchange.target == seen
    hosts = [value for name, value in exchange.headers if name == b"host"]
    assert hosts == ([b"x"] if target.startswith(b"/") else [target.split(b"/")[2].partition(b"?")[0]])


def test_a_client_that_does_not_read_its_answer_is_dropped(run_loop, monkeypatch):
    async def run():
        for headers in ((), (b"connection: close",)):
            async with serving(at_once=False) as (service, _, writer):
                writer.transport.pause_reading()
                writer.write(post(b"/a", b"", *headers))
                await service.until(lambda service=service: service.exchanges)
                [connection] = service.connections
                with monkeypatch.context() as patch:
                    patch.setattr(connection_module, "IDLE_TIMEOUT_S", 0.1)
                    service.exchanges[0].reply(Response(b"x" * 50_000_000))
                    await asyncio.wait_for(connection.closed.wait(), 10)

    run_loop(run())


def test_a_client_that_reads_its_answer_slowly_is_not_dropped(run_loop, monkeypatch):
    size = 30_000_000

    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a"))
            await service.until(lambda: service.exchanges)
            monkeypatch.setattr(connection_module, "IDLE_TIMEOUT_S", 0.3)
            service.exchanges[0].reply(Response(b"x" * size))
            await reader.readuntil(b"\r\n\r\n")
            read = 0
            while read < size:
                read += len(await reader.read(1_000_000))
                if read < size // 2:
                    await asyncio.sleep(0.02)  # a slow client
            return read

    assert run_loop(run()) == size


def test_a_client_that_waits_to_be_asked_for_its_body_has_the_whole_time_from_then_on(run_loop, monkeypatch):
    short_s = 0.1
    monkeypatch.setattr(connection_module, "HEAD_TIMEOUT_S", short_s)

    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a") + b"POST /b HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            await service.until(lambda: service.exchanges)
            await asyncio.sleep(3 * short_s)  # the first call takes longer than a head may
            monkeypatch.setattr(connection_module, "HEAD_TIMEOUT_S", 20.0)
            service.answer(service.exchanges[0])
            statuses = [(await read_answer(reader))[0] for _ in range(2)]
            await asyncio.sleep(3 * short_s)  # what was left of the time before ends in here
            writer.write(b"ab")
            await service.until(lambda: len(service.exchanges) == 2)
            service.answer(service.exchanges[1])
            return [*statuses, (await read_answer(reader))[0]]

    assert run_loop(run()) == [200, 100, 200]


def test_a_client_that_was_asked_for_its_body_and_does_not_send_it_is_refused(run_loop, monkeypatch):
    monkeypatch.setattr(connection_module, "HEAD_TIMEOUT_S", 0.1)

    async def run():
        async with serving() as (_, reader, writer):
            writer.write(post(b"/a") + b"POST /b HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            return [(await read_answer(reader))[0] for _ in range(3)]

    assert run_loop(run()) == [200, 100, 400]


def test_the_time_of_a_head_does_not_run_while_the_server_does_not_read(run_loop, monkeypatch):
    monkeypatch.setattr(connection_module, "HEAD_TIMEOUT_S", 0.2)
    monkeypatch.setattr(connection_module, "MAX_PIPELINED", 2)

    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            begun = post(b"/c")
            writer.write(post(b"/a") + post(b"/b") + begun[:-2])
            await service.until(lambda: len(service.exchanges) == 2)
            writer.write(begun[-2:])
            await asyncio.sleep(0.5)  # the calls take longer than a head may
            for exchange in service.exchanges[:]:
                service.answer(exchange)
            await service.until(lambda: len(service.exchanges) == 3)
            service.answer(service.exchanges[2])
            return [(await read_answer(reader))[0] for _ in range(3)]

    assert run_loop(run()) == [200, 200, 200]
