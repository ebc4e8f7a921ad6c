"""Answers in pieces, as they go over the wire; the connection is real, its transport and the worker are played."""

import asyncio

import pytest

from skerry.errors import WorkerLostError
from skerry.runtime.frames import Codec, Frame, Kind
from support.echo_service import post
from support.fed_connection import FunctionService, connect, sent


class Pool:
    """Counts what an exchange tells the one that has taken its call."""

    def __init__(self):
        self.credited = []
        self.left = 0

    def credit(self, call, size_bytes):
        self.credited.append(size_bytes)

    def leave(self, call):
        self.left += 1


class Stream:
    """One request, taken, whose answer the test plays."""

    def __init__(self, connection, exchange, content_type="application/x-ndjson"):
        self.connection = connection
        self.exchange = exchange
        self.pool = exchange.pool = Pool()
        self._type = content_type

    def begin(self):
        self._piece(Kind.STREAM, meta={"content_type": self._type})

    def piece(self, body):
        self._piece(Kind.PIECE, body)

    def end(self, kind=Kind.END):
        self.exchange.done = True
        self.exchange.on_answer(Frame(kind, 1, Codec.JSON, {"status": 500} if kind == Kind.ERROR else {}, b"{}"))

    def lose(self):
        self.exchange.done = True
        self.exchange.on_answer(WorkerLostError("lost"))

    def _piece(self, kind, body=b"", meta=None):
        self.exchange.streaming = True
        self.exchange.on_piece(Frame(kind, 1, Codec.JSON, meta or {}, body))


REQUEST = post(b"/f")


def play(run_loop, story, *, requests=(REQUEST,), **options):
    """Send requests, have ``story`` play the answer of the first; return what was sent and whether it closed."""

    async def run():
        service = FunctionService(at_once=False)
        connection = connect(service)
        connection.data_received(b"".join(requests))
        stream = Stream(connection, service.exchanges[0], **options)
        story(stream, service)
        outcome = sent(connection), connection._transport.closed
        connection.connection_lost(None)
        await asyncio.sleep(0)
        return outcome

    return run_loop(run())


def whole(stream, _):
    stream.begin()
    stream.piece(b'{"a":1}\n')
    stream.piece(b"")
    stream.piece(b"x" * 17)
    stream.end()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncache-control: no-store\r\n"


def test_a_stream_goes_out_in_chunks_and_the_connection_stays(run_loop):
    data, closed = play(run_loop, whole)
    chunks = b'8\r\n{"a":1}\n\r\n11\r\n' + b"x" * 17 + b"\r\n0\r\n\r\n"
    assert data == HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunks
    assert not closed


def test_each_piece_is_sent_as_it_comes(run_loop):
    lengths = []

    def story(stream, _):
        stream.begin()
        for _ in range(3):
            stream.piece(b"x")
            lengths.append(len(sent(stream.connection)))

    play(run_loop, story)
    assert lengths == sorted(set(lengths))


def test_a_client_of_http_1_0_reads_a_stream_until_the_connection_closes(run_loop):
    data, closed = play(run_loop, whole, requests=[post(b"/f", version=b"1.0")])
    assert data == HEAD + b'connection: close\r\n\r\n{"a":1}\n' + b"x" * 17
    assert closed


def test_a_stream_that_its_client_wanted_to_be_the_last_closes(run_loop):
    data, closed = play(run_loop, whole, requests=[post(b"/f", b"", b"connection: close")])
    assert b"connection: close\r\n" in data
    assert data.endswith(b"0\r\n\r\n")
    assert closed


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("how", [Stream.lose, lambda stream: stream.end(Kind.ERROR)], ids=["lost", "failed"])
def test_a_stream_that_breaks_does_not_look_whole(run_loop, version, how):
    aborted = []

    def story(stream, _):
        stream.connection._transport.abort = lambda: aborted.append(True)
        stream.begin()
        stream.piece(b"1\n")
        how(stream)

    data, closed = play(run_loop, story, requests=[post(b"/f", version=version)])
    assert not data.endswith(b"0\r\n\r\n")
    assert data.count(b"HTTP/1.1") == 1
    assert bool(aborted) == (version == b"1.0")  # there, to close would be how it ends well
    assert closed or aborted


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/msgpack"])
def test_a_stream_that_tells_of_its_error_ends_well(run_loop, content_type):
    def story(stream, _):
        stream.begin()
        stream.piece(b"the error")
        stream.end(Kind.ERROR)

    data, closed = play(run_loop, story, content_type=content_type)
    assert data.endswith(b"9\r\nthe error\r\n0\r\n\r\n")
    assert not closed


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/msgpack"])
def test_a_stream_whose_worker_is_lost_cannot_have_told_of_it(run_loop, content_type):
    def story(stream, _):
        stream.begin()
        stream.lose()

    data, closed = play(run_loop, story, content_type=content_type)
    assert not data.endswith(b"0\r\n\r\n")
    assert closed


def test_an_error_before_the_stream_is_an_answer_of_its_own(run_loop):
    data, closed = play(run_loop, lambda stream, _: stream.end(Kind.ERROR))
    assert data.startswith(b"HTTP/1.1 500 ")
    assert not closed


def test_answers_behind_a_stream_wait_for_its_end(run_loop):
    def story(stream, service):
        service.answer(service.exchanges[1])
        stream.begin()
        stream.piece(b"x")
        assert b"/f/2" not in sent(stream.connection)
        stream.end()

    data, closed = play(run_loop, story, requests=[post(b"/f"), post(b"/f/2")])
    assert data.index(b"0\r\n\r\n") < data.index(b"/f/2")
    assert not closed


def test_what_the_client_has_taken_is_told_and_while_it_reads_nothing_is(run_loop):
    def story(stream, _):
        stream.begin()
        stream.piece(b"12345")
        assert stream.pool.credited == [5]
        stream.connection.pause_writing()
        stream.piece(b"123")
        stream.piece(b"1234")
        assert stream.pool.credited == [5]
        stream.connection.resume_writing()
        assert stream.pool.credited == [5, 7]
        stream.end()
        assert sum(stream.pool.credited) == 12

    play(run_loop, story)


def test_a_stream_that_waits_for_its_turn_is_not_taken_yet(run_loop):
    async def run():
        service = FunctionService(at_once=False)
        connection = connect(service)
        connection.data_received(post(b"/f") + post(b"/f/2"))
        stream = Stream(connection, service.exchanges[1])
        stream.begin()
        stream.piece(b"12345")
        before = list(stream.pool.credited), sent(connection)
        service.answer(service.exchanges[0])
        after = list(stream.pool.credited), sent(connection)
        connection.connection_lost(None)
        return before, after

    before, (credited, data) = run_loop(run())
    assert before == ([], b"")
    assert credited == [5]
    assert data.endswith(b"5\r\n12345\r\n")


def test_a_client_that_leaves_in_the_middle_is_told_once(run_loop):
    pools = []

    def story(stream, _):
        pools.append(stream.pool)
        stream.begin()
        stream.piece(b"x")

    play(run_loop, story)
    assert pools[0].left == 1


def test_the_type_of_a_stream_cannot_add_to_its_head(run_loop):
    data, _ = play(run_loop, whole, content_type="text/plain; x=\u20ac")
    assert data.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; x=?\r\n")
