"""Streams: generators in the loop of a plain handler and as tasks of an async one."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import msgpack
import orjson
import pytest

from skerry.errors import InvalidPayloadError
from skerry.payload import PieceReader, Signature
from skerry.runtime.context import context
from skerry.runtime.frames import STREAM_WINDOW_BYTES, Kind, encode_frame
from support.worker_process import WorkerProcess


def count(to: int) -> Iterator[int]:
    yield from range(to)


async def count_later(to: int) -> AsyncIterator[int]:
    for n in range(to):
        await asyncio.sleep(0)
        yield n


BOTH = pytest.mark.parametrize("handler", [count, count_later], ids=["plain", "async"])


def stream(handler, body, accept=None, **frame):
    with WorkerProcess(handler) as worker:
        worker.call(3, body, meta={"accept": accept} if accept else None, **frame)
        return worker.all_of(3)


def text_of(frames):
    return b"".join(frame.body for frame in frames if frame.kind == Kind.PIECE)


@BOTH
@pytest.mark.parametrize(
    ("accept", "content_type", "text"),
    [
        (None, "application/x-ndjson", b"0\n1\n2\n"),
        ("*/*", "application/x-ndjson", b"0\n1\n2\n"),
        ("application/json", "application/x-ndjson", b"0\n1\n2\n"),
        ("text/event-stream", "text/event-stream", b"data: 0\n\ndata: 1\n\ndata: 2\n\n"),
        ("application/msgpack", "application/msgpack", b"\x00\x01\x02"),
        ("text/html, text/event-stream;q=0.5", "text/event-stream", b"data: 0\n\ndata: 1\n\ndata: 2\n\n"),
    ],
)
def test_items_go_out_as_the_caller_wants_them(handler, accept, content_type, text):
    frames = stream(handler, b"3", accept)
    assert [frame.kind for frame in frames] == [Kind.STREAM, *[Kind.PIECE] * 3, Kind.END]
    assert frames[0].meta == {"content_type": content_type}
    assert text_of(frames) == text


@BOTH
def test_an_empty_stream_has_a_beginning_and_an_end(handler):
    assert [frame.kind for frame in stream(handler, b"0")] == [Kind.STREAM, Kind.END]


@BOTH
def test_a_wrong_body_is_an_error_and_no_stream(handler):
    (frame,) = stream(handler, b'"x"')
    assert frame.meta == {"status": 422}


def test_bytes_go_out_as_they_are():
    def parts(n: int) -> Iterator[bytes]:
        yield b"ab"
        yield b""
        yield b"c"

    frames = stream(parts, b"1")
    assert frames[0].meta == {"content_type": "application/octet-stream"}
    assert [frame.body for frame in frames[1:-1]] == [b"ab", b"c"]


def broken(at: int) -> Iterator[int]:
    for n in range(9):
        if n == at:
            raise InvalidPayloadError("enough")
        yield n


async def broken_later(at: int) -> AsyncIterator[int]:
    for n in broken(at):
        yield n


@pytest.mark.parametrize("handler", [broken, broken_later], ids=["plain", "async"])
class TestErrors:
    def test_before_the_first_item_there_is_no_stream(self, handler):
        (frame,) = stream(handler, b"0")
        assert (frame.kind, frame.meta) == (Kind.ERROR, {"status": 422})

    def test_in_the_middle_an_event_stream_tells_of_it(self, handler):
        frames = stream(handler, b"1", "text/event-stream")
        assert [frame.kind for frame in frames] == [Kind.STREAM, Kind.PIECE, Kind.PIECE, Kind.ERROR]
        event, _, rest = text_of(frames).removeprefix(b"data: 0\n\n").partition(b"\ndata: ")
        assert event == b"event: error"
        assert orjson.loads(rest)["detail"] == "enough"

    def test_in_the_middle_a_message_pack_stream_tells_of_it(self, handler):
        frames = stream(handler, b"2", "application/msgpack")
        items = PieceReader(Signature.of(handler)).feed(text_of(frames))
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(InvalidPayloadError, match="enough"):
            next(items)
        assert frames[-1].kind == Kind.ERROR

    def test_in_the_middle_other_streams_end(self, handler):
        frames = stream(handler, b"1")
        assert [frame.kind for frame in frames] == [Kind.STREAM, Kind.PIECE, Kind.ERROR]


def test_an_item_that_does_not_fit_the_annotation_breaks_the_stream():
    def wrong(x: int) -> Iterator[dict[str, list[bytes]]]:
        yield {}
        yield {"a": 3}

    assert [frame.kind for frame in stream(wrong, b"1")] == [Kind.STREAM, Kind.PIECE, Kind.ERROR]


def test_a_function_that_returns_an_iterator_streams():
    def listed(to: int) -> Iterator[int]:
        return iter(range(to)) if to else None

    assert text_of(stream(listed, b"2")) == b"0\n1\n"
    assert stream(listed, b"0")[0].kind == Kind.ERROR


def test_the_end_says_how_long_the_generator_ran():
    def slow(x: int) -> Iterator[int]:
        for n in range(2):
            time.sleep(0.01)  # the handler's own time is what is measured
            yield n

    assert 20_000 <= stream(slow, b"1")[-1].time < 10_000_000


BIG = 100_000


def chunks(marks: int) -> Iterator[bytes]:
    try:
        for _ in range(20):
            os.write(marks, b"x")
            yield b"x" * BIG
    finally:
        os.write(marks, b"closed")


async def chunks_later(marks: int) -> AsyncIterator[bytes]:
    try:
        for _ in range(20):
            os.write(marks, b"x")
            yield b"x" * BIG
    finally:
        os.write(marks, b"closed")


@pytest.fixture
def marks():
    fd = os.memfd_create("marks")
    yield fd
    os.close(fd)


def seen(fd):
    return os.pread(fd, 100, 0)


@pytest.mark.parametrize("handler", [chunks, chunks_later], ids=["plain", "async"])
class TestFlow:
    def take(self, worker, pieces):
        frames = []
        while sum(frame.kind == Kind.PIECE for frame in frames) < pieces:
            frames += worker.read()
        return frames

    def test_a_generator_waits_for_its_caller(self, handler, marks):
        with WorkerProcess(handler) as worker:
            worker.call(1, b"%d" % marks)
            taken, frames = 0, []
            while not (frames and frames[-1].kind == Kind.END):
                frames = worker.read()
                taken += sum(frame.kind == Kind.PIECE for frame in frames)
                # What fits, and one more that it has made and holds.
                assert seen(marks).count(b"x") <= taken + STREAM_WINDOW_BYTES // BIG + 1
                worker.send(encode_frame(Kind.CREDIT, 1, time=sum(len(frame.body) for frame in frames)))
        assert seen(marks) == b"x" * 20 + b"closed"

    def test_no_more_than_the_window_is_ever_unpaid(self, handler, marks):
        unpaid = 0
        with WorkerProcess(handler) as worker:
            worker.call(1, b"%d" % marks)
            done = False
            while not done:
                for frame in worker.read():
                    unpaid += len(frame.body) if frame.kind == Kind.PIECE else 0
                    assert unpaid <= STREAM_WINDOW_BYTES
                    done = done or frame.kind == Kind.END
                worker.send(encode_frame(Kind.CREDIT, 1, time=unpaid))
                unpaid = 0

    def test_a_stream_that_waits_is_closed_when_its_caller_leaves(self, handler, marks):
        with WorkerProcess(handler) as worker:
            worker.call(1, b"%d" % marks)
            self.take(worker, 2)
            worker.cancel(1, interrupt=False)
            assert worker.all_of(1)[-1].kind == Kind.ERROR
            assert seen(marks) in (b"xxclosed", b"xxxclosed")  # it may hold one more piece
            worker.call(2, b"%d" % marks)  # and the worker goes on
            self.take(worker, 1)

    def test_calls_that_come_meanwhile_wait(self, handler, marks):
        with WorkerProcess(handler) as worker:
            worker.call(1, b"%d" % marks)
            self.take(worker, 2)
            worker.call(2, b"%d" % marks)
            worker.call(3, b"%d" % marks)
            worker.cancel(3, interrupt=False)
            worker.send(encode_frame(Kind.STOP, 0), encode_frame(Kind.CREDIT, 1, time=BIG * 2))
            ends = {}
            while len(ends) < 3:
                for frame in worker.read():
                    if frame.kind == Kind.PIECE:
                        with suppress(BrokenPipeError):  # it has sent its last pieces, and stopped as it was told to
                            worker.send(encode_frame(Kind.CREDIT, frame.number, time=BIG))
                    elif frame.kind != Kind.STREAM:
                        ends[frame.number] = frame.kind
        assert ends == {1: Kind.END, 2: Kind.END, 3: Kind.ERROR}

    def test_the_front_may_die_in_the_middle(self, handler, marks):
        with WorkerProcess(handler) as worker:
            worker.call(1, b"%d" % marks)
            self.take(worker, 2)
            worker.front.close()
        # leaving the block waits for the process's end


def test_a_piece_larger_than_the_window_goes_alone():
    def huge(n: int) -> Iterator[bytes]:
        for _ in range(n):
            yield b"x" * (STREAM_WINDOW_BYTES * 2)

    with WorkerProcess(huge) as worker:
        worker.call(1, b"2")
        frames = []
        while not any(frame.kind == Kind.PIECE for frame in frames):
            frames += worker.read()
        worker.send(encode_frame(Kind.CREDIT, 1, time=STREAM_WINDOW_BYTES * 2))
        assert worker.all_of(1)[-1].kind == Kind.END


def test_a_generator_that_computes_is_interrupted():
    def spin(marks: int) -> Iterator[int]:
        try:
            os.write(marks, b"begun ")
            while True:
                if marks < 0:
                    yield 1
        finally:
            os.write(marks, b"closed")

    fd = os.memfd_create("marks")
    with WorkerProcess(spin) as worker:
        worker.call(1, b"%d" % fd)
        while seen(fd) != b"begun ":
            os.sched_yield()
        worker.cancel(1)
        assert worker.all_of(1)[-1].kind == Kind.ERROR
    assert seen(fd) == b"begun closed"
    os.close(fd)


def test_a_busy_generator_notices_the_frame_alone():
    def endless(x: int) -> Iterator[int]:
        while True:
            yield 1

    with WorkerProcess(endless) as worker:
        worker.call(1, b"1")
        worker.read()
        worker.send(encode_frame(Kind.CANCEL, 1))
        assert worker.all_of(1)[-1].kind == Kind.ERROR


@pytest.mark.parametrize("later", [False, True])
def test_the_context_lasts_for_the_whole_stream(later):
    def look(x: int) -> Iterator[str | None]:
        yield context().traceparent
        yield context().traceparent

    async def look_later(x: int) -> AsyncIterator[str | None]:
        yield context().traceparent
        yield context().traceparent

    with WorkerProcess(look_later if later else look) as worker:
        worker.call(1, b"1", meta={"traceparent": "tp", "accept": "application/msgpack"})
        assert text_of(worker.all_of(1)) == msgpack.packb("tp") * 2


def test_async_streams_run_side_by_side():
    async def meet(n: int) -> AsyncIterator[int]:
        barrier.append(n)
        if len(barrier) == 3:
            all_there.set()
        await all_there.wait()
        yield n

    barrier, all_there = [], asyncio.Event()
    with WorkerProcess(meet, concurrency=3) as worker:
        for n in (1, 2, 3):
            worker.call(n, b"%d" % n)
        assert {number: frame.kind for number, frame in worker.answers(3).items()} == dict.fromkeys((1, 2, 3), Kind.END)


def test_an_async_stream_ends_with_its_timeout():
    async def forever(n: int) -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    with WorkerProcess(forever, timeout_s=0.05) as worker:
        worker.call(1, b"1")
        frames = worker.all_of(1)
    assert [frame.kind for frame in frames] == [Kind.STREAM, Kind.PIECE, Kind.ERROR]
    assert orjson.loads(frames[-1].body)["code"] == "handler_timeout"
