import asyncio
import contextlib

import pytest

from skerry.runtime import connection as connection_module
from skerry.runtime.connection import MAX_HEAD_BYTES, Connection
from support.echo_service import LIMIT_BYTES, EchoService, post, read_answer, serving


def ask(run_loop, data, *, answers=1):
    """Send bytes, return that many answers and whether the server closed after them."""

    async def run():
        async with serving() as (_, reader, writer):
            writer.write(data)
            found = [await read_answer(reader) for _ in range(answers)]
            try:
                writer.write(post(b"/probe"))
                closed = (await read_answer(reader))[0] != 200
            except (asyncio.IncompleteReadError, ConnectionError):
                closed = True
            return found, closed

    return run_loop(run())


def test_a_request_is_answered_and_the_connection_stays_open(run_loop):
    [(status, headers, body)], closed = ask(run_loop, post(b"/a", b"hello"))
    assert (status, body, closed) == (200, b"POST /a hello", False)
    assert headers["content-type"] == "text/plain"


def test_connection_close_is_heeded(run_loop):
    [(_, headers, _)], closed = ask(run_loop, post(b"/a", b"x", b"connection: close"))
    assert headers["connection"] == "close"
    assert closed


def test_a_client_of_http_1_0_is_answered_and_the_connection_closes(run_loop):
    [(status, _, body)], closed = ask(run_loop, post(b"/a", b"x", b"connection: keep-alive", version=b"1.0"))
    assert (status, body, closed) == (200, b"POST /a x", True)


def test_a_body_in_chunks_is_put_together_and_its_trailers_are_ignored(run_loop):
    data = b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nce-id: 1\r\n\r\n"
    [(status, _, body)], closed = ask(run_loop, data)
    assert (status, body, closed) == (200, b"POST /a abcde", False)


def test_a_head_request_gets_the_head_alone(run_loop):
    async def run():
        async with serving() as (_, reader, writer):
            writer.write(b"HEAD /a HTTP/1.1\r\n\r\n" + post(b"/b"))
            first = await read_answer(reader, with_body=False)
            return first, await read_answer(reader)

    (status, headers, _), (_, _, second) = run_loop(run())
    assert (status, headers["content-length"], second) == (200, str(len(b"HEAD /a ")), b"POST /b ")


def test_pipelined_requests_are_answered_in_their_order(run_loop):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(b"".join(post(b"/%d" % i) for i in range(20)))
            await service.until(lambda: len(service.exchanges) == 20)
            for exchange in reversed(service.exchanges):
                service.answer(exchange)
            return [(await read_answer(reader))[2] for _ in range(20)]

    assert run_loop(run()) == [b"POST /%d " % i for i in range(20)]


def test_more_pipelined_requests_than_are_taken_at_a_time_are_all_answered(run_loop):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            count = 5000
            writer.write(b"".join(post(b"/%d" % i) for i in range(count)))
            bodies = []
            answered = 0
            while len(bodies) < count:
                await service.until(lambda answered=answered: len(service.exchanges) > answered)
                for exchange in service.exchanges[answered:]:
                    service.answer(exchange)
                    answered += 1
                while len(bodies) < answered:
                    bodies.append((await read_answer(reader))[2])
            return bodies

    assert run_loop(run()) == [b"POST /%d " % i for i in range(5000)]


STREAM = (
    post(b"/a", b"one")
    + b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntwo!\r\n0\r\n\r\n"
    + b"GET /c HTTP/1.1\r\nX-Long: "
    + b"y" * 50
    + b"\r\n\r\n"
)


def test_a_stream_that_is_split_at_any_byte_gives_the_same_answers(run_loop):
    class Transport:
        def __init__(self):
            self.sent = b""

        def write(self, data):
            self.sent += data

        def is_closing(self):
            return False

    async def run():
        outcomes = set()
        for at in range(len(STREAM) + 1):
            connection = Connection(EchoService(), trusted=True)
            connection.connection_made(Transport())
            for piece in (STREAM[:at], STREAM[at:]):
                if piece:
                    connection.data_received(piece)
            outcomes.add(connection._transport.sent)
            connection.connection_lost(None)
        connection = Connection(EchoService(), trusted=True)
        connection.connection_made(Transport())
        for i in range(len(STREAM)):
            connection.data_received(STREAM[i : i + 1])
        outcomes.add(connection._transport.sent)
        connection.connection_lost(None)
        return outcomes

    [sent] = run_loop(run())
    assert sent.count(b"HTTP/1.1 200") == 3


def test_the_body_is_asked_for_when_the_client_waits_for_that(run_loop):
    async def run():
        async with serving() as (_, reader, writer):
            writer.write(b"POST /a HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            first = await read_answer(reader)
            writer.write(b"ab")
            return first[0], await read_answer(reader)

    status, (final, _, body) = run_loop(run())
    assert (status, final, body) == (100, 200, b"POST /a ab")


def test_the_body_is_asked_for_after_the_answers_of_earlier_requests(run_loop):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a") + b"POST /b HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            await service.until(lambda: service.exchanges)
            service.answer(service.exchanges[0])
            statuses = [(await read_answer(reader))[0] for _ in range(2)]
            writer.write(b"ab")
            await service.until(lambda: len(service.exchanges) == 2)
            service.answer(service.exchanges[1])
            return [*statuses, (await read_answer(reader))[0]]

    assert run_loop(run()) == [200, 100, 200]


@pytest.mark.parametrize("expect", [b"", b"expect: 100-continue\r\n"])
def test_a_body_that_announces_to_be_too_large_is_refused_before_it_is_sent(run_loop, expect):
    head = b"POST /a HTTP/1.1\r\n" + expect + b"content-length: %d\r\n\r\n" % (LIMIT_BYTES + 1)
    [(status, headers, _)], closed = ask(run_loop, head)
    assert (status, headers["connection"], closed) == (413, "close", True)


def test_a_body_in_chunks_that_grows_too_large_is_refused(run_loop):
    chunk = b"%x\r\n%s\r\n" % (600, b"x" * 600)
    data = b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + chunk * 2
    [(status, _, _)], closed = ask(run_loop, data)
    assert (status, closed) == (413, True)


def test_a_client_that_sends_on_after_the_refusal_can_read_it(run_loop, monkeypatch):
    monkeypatch.setattr(connection_module, "LINGER_S", 20.0)

    async def run():
        async with serving() as (_, reader, writer):
            size = 8 * 2**20
            writer.write(b"POST /a HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % size)
            for _ in range(8):
                writer.write(b"x" * 2**20)
                await writer.drain()  # a reset of the connection would show here
            return await read_answer(reader)

    assert run_loop(run())[0] == 413


def test_a_request_that_is_refused_by_its_head_is_answered_without_its_body(run_loop):
    [(status, _, _)], closed = ask(run_loop, b"POST /nowhere HTTP/1.1\r\ncontent-length: 500\r\n\r\n")
    assert (status, closed) == (404, True)


def test_what_comes_after_a_refused_request_is_not_run(run_loop):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a") + post(b"/nowhere", b"x") + post(b"/c"))
            await service.until(lambda: service.exchanges)
            service.answer(service.exchanges[0])
            answers = [(await read_answer(reader))[0] for _ in range(2)]
            return answers, await reader.read(), [exchange.target for exchange in service.exchanges]

    assert run_loop(run()) == ([200, 404], b"", [b"/a"])


@pytest.mark.parametrize(
    "data",
    [
        b"GET /a HTTP/1.1\r\n" + b"x-big: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"GET /" + b"a" * (MAX_HEAD_BYTES + 1) + b" HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(10_000)) + b"\r\n",
    ],
    ids=["one header", "target", "many headers"],
)
def test_a_head_that_is_too_large_is_refused(run_loop, data):
    [(status, _, body)], closed = ask(run_loop, data)
    assert (status, closed) == (400, True)
    assert b"head is larger" in body


def test_a_header_without_end_is_cut_off(run_loop):
    async def run():
        async with serving() as (_, reader, writer):
            writer.write(b"GET /a HTTP/1.1\r\nx-endless: ")
            sent = 0
            with contextlib.suppress(ConnectionError):
                while sent < 4 * MAX_HEAD_BYTES:
                    writer.write(b"y" * 10_000)
                    await writer.drain()
                    sent += 10_000
            return await read_answer(reader)

    assert run_loop(run())[0] == 400


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /a HTTP/9.9\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /a HTTP/1.1\r\nno colon\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.org:80 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_request_is_answered_400(run_loop, data):
    [(status, headers, _)], closed = ask(run_loop, data)
    assert (status, headers["content-type"], closed) == (400, "application/problem+json", True)


def test_a_malformed_request_is_refused_once_and_after_the_answers_that_are_due(run_loop):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a"))
            await service.until(lambda: service.exchanges)
            for _ in range(5):
                writer.write(b"nonsense\r\n\r\n")
                await writer.drain()
            service.answer(service.exchanges[0])
            answers = [(await read_answer(reader))[0] for _ in range(2)]
            return answers, await reader.read()

    assert run_loop(run()) == ([200, 400], b"")


def test_the_offer_of_another_protocol_is_declined_and_the_request_is_served(run_loop):
    upgrade = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQAAP")
    answers, closed = ask(run_loop, post(b"/a", b"body", *upgrade) + post(b"/b"), answers=2)
    assert [(status, body) for status, _, body in answers] == [(200, b"POST /a body"), (200, b"POST /b ")]
    assert not closed


@pytest.mark.parametrize("rude", [False, True])
def test_what_a_client_asked_for_is_abandoned_when_it_leaves(run_loop, rude):
    async def run():
        async with serving(at_once=False) as (service, _, writer):
            writer.write(post(b"/a") + post(b"/b"))
            await service.until(lambda: len(service.exchanges) == 2)
            if rude:
                writer.transport.abort()
            else:
                writer.close()
            await service.until(lambda: service.left == 2)
            for exchange in service.exchanges:  # answers that come too late go nowhere
                service.answer(exchange)
            return service.left, service.connections

    assert run_loop(run()) == (2, set())


def test_a_request_that_does_not_come_to_its_end_is_refused(run_loop, monkeypatch):
    monkeypatch.setattr(connection_module, "HEAD_TIMEOUT_S", 0.05)

    async def run():
        async with serving() as (_, reader, writer):
            writer.write(b"POST /a HTTP/1.1\r\nhost: x\r\n")
            return await read_answer(reader), await reader.read()

    (status, _, _), rest = run_loop(run())
    assert (status, rest) == (400, b"")


def test_dripping_a_head_byte_by_byte_does_not_keep_a_connection_open(run_loop, monkeypatch):
    monkeypatch.setattr(connection_module, "HEAD_TIMEOUT_S", 0.1)

    async def run():
        async with serving() as (_, reader, writer):

            async def drip():
                writer.write(b"POST /a HTTP/1.1\r\nx: ")
                while True:
                    writer.write(b"y")
                    await asyncio.sleep(0.01)

            dripping = asyncio.get_running_loop().create_task(drip())
            try:
                return await read_answer(reader)
            finally:
                dripping.cancel()

    assert run_loop(run())[0] == 400


def test_a_stalled_request_does_not_take_the_answer_of_an_earlier_one_with_it(run_loop, monkeypatch):
    monkeypatch.setattr(connection_module, "HEAD_TIMEOUT_S", 0.05)

    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a") + b"POST /b HTTP/1.1\r\n")
            [connection] = await _connections(service)
            await service.until(lambda: service.exchanges)
            async with asyncio.timeout(25):
                while not connection._closing:  # noqa: ASYNC110  # nothing tells of it
                    await asyncio.sleep(0.01)
            service.answer(service.exchanges[0])
            return [(await read_answer(reader))[0] for _ in range(2)]

    assert run_loop(run()) == [200, 400]


async def _connections(service):
    await service.until(lambda: service.connections)
    return list(service.connections)


def test_an_idle_connection_is_closed(run_loop, monkeypatch):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post())
            await service.until(lambda: service.exchanges)
            monkeypatch.setattr(connection_module, "IDLE_TIMEOUT_S", 0.05)  # it counts from the answer
            service.answer(service.exchanges[0])
            await read_answer(reader)
            return await reader.read()

    assert run_loop(run()) == b""


def test_a_client_that_does_not_read_its_answers_is_not_read_from(run_loop):
    async def run():
        async with serving() as (service, _, writer):
            request = post(b"/" + b"a" * 900, b"x" * 900)
            writer.transport.pause_reading()
            sent = 0
            try:
                async with asyncio.timeout(1.0):
                    while sent < 50_000:
                        writer.write(request * 100)
                        sent += 100
                        await writer.drain()
            except TimeoutError:
                pass
            [connection] = service.connections
            return sent, connection._transport.get_write_buffer_size()

    sent, held_bytes = run_loop(run())
    assert sent < 50_000
    assert held_bytes < 4 * 2**20


def test_finishing_answers_what_is_due_and_closes(run_loop):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a"))
            await service.until(lambda: service.exchanges)
            [connection] = service.connections
            connection.finish()
            service.answer(service.exchanges[0])
            return await read_answer(reader), await reader.read()

    (status, headers, _), rest = run_loop(run())
    assert (status, headers["connection"], rest) == (200, "close", b"")
