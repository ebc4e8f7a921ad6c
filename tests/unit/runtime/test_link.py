"""The front's end of a worker's socket, with the far end played by the test."""

import asyncio
import contextlib
import mmap
import os
import socket
import time

import pytest

from skerry.runtime.frames import FrameReader, Kind, encode_frame
from skerry.runtime.link import WorkerLink
from skerry.runtime.progress import ANSWERS_AT, CANCELLED, CANCELLED_AT, HELD, HELD_AT, PROGRESS, PROGRESS_BYTES

LARGE = os.urandom(10 * 2**20)


class Ends:
    """A link, and the worker's end of it."""

    def __init__(self):
        self.page = mmap.mmap(-1, PROGRESS_BYTES)
        self.frames = []
        self.closed = 0
        self.came = asyncio.Event()
        self.link = WorkerLink(self.page, on_frames=self._take, on_closed=self._close)
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.link.attach(self.ours)

    def _take(self, frames):
        self.frames += frames
        self.came.set()

    def _close(self):
        self.closed += 1
        self.came.set()

    async def say(self, data):
        await asyncio.get_running_loop().sock_sendall(self.theirs, data)

    async def hear(self, count):
        """Read until that many frames have come."""
        reader, found = FrameReader(), []
        while len(found) < count:
            found += reader.feed(await asyncio.get_running_loop().sock_recv(self.theirs, 1 << 16))
        return found

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():
                self.came.clear()
                await self.came.wait()

    def hold(self, number, data):
        """Put answers on the shared page, as a worker does that does not send them yet."""
        PROGRESS.pack_into(self.page, 0, number)
        self.page[ANSWERS_AT : ANSWERS_AT + len(data)] = data
        HELD.pack_into(self.page, HELD_AT, len(data))


@contextlib.asynccontextmanager
async def linked():
    ends = Ends()
    try:
        yield ends
    finally:
        ends.link.close()
        await asyncio.sleep(0)
        ends.theirs.close()


def test_large_frames_pass_small_buffers_in_both_directions_at_once(run_loop):
    async def run():
        async with linked() as ends:
            answer = encode_frame(Kind.RESULT, 1, LARGE, meta={"content_type": "x"})
            ends.link.send(encode_frame(Kind.CALL, 1, LARGE))
            for number in range(2, 50):  # small ones behind a large one keep their place
                ends.link.send(encode_frame(Kind.CALL, number, b"%d" % number))
            heard, _ = await asyncio.gather(ends.hear(49), ends.say(answer * 2))
            await ends.until(lambda: len(ends.frames) == 2)
            return heard, ends.frames

    heard, answers = run_loop(run())
    assert [frame.number for frame in heard] == list(range(1, 50))
    assert heard[0].body == LARGE
    assert [frame.body for frame in heard[1:]] == [b"%d" % number for number in range(2, 50)]
    assert [(frame.body == LARGE, frame.meta) for frame in answers] == [(True, {"content_type": "x"})] * 2


def test_frames_may_come_in_any_pieces(run_loop):
    async def run():
        async with linked() as ends:
            stream = b"".join(encode_frame(Kind.RESULT, n, b"x" * n, meta={"n": n}) for n in range(1, 20))
            for at in range(0, len(stream), 7):
                await ends.say(stream[at : at + 7])
                await asyncio.sleep(0)  # let the link read them by themselves
            await ends.until(lambda: len(ends.frames) == 19)
            return ends.frames

    assert [(f.number, len(f.body), f.meta) for f in run_loop(run())] == [(n, n, {"n": n}) for n in range(1, 20)]


def test_looking_finds_an_answer_that_is_there_without_the_loop(run_loop):
    async def run():
        async with linked() as ends:
            ends.theirs.send(encode_frame(Kind.RESULT, 1, b"x"))
            return ends.link.poll(1.0), len(ends.frames)

    assert run_loop(run()) == (True, 1)


def test_looking_ends_when_nothing_comes(run_loop):
    async def run():
        async with linked() as ends:
            begun = time.monotonic()
            return ends.link.poll(0.01), time.monotonic() - begun, ends.frames

    found, took_s, frames = run_loop(run())
    assert (found, frames) == (False, [])
    assert 0.01 <= took_s < 10.0


def test_looking_notices_a_worker_that_has_gone_and_tells_of_it_once(run_loop):
    async def run():
        async with linked() as ends:
            ends.theirs.close()
            ends.link.poll(1.0)
            await ends.until(lambda: ends.closed)
            after = ends.link.poll(0.0), ends.link.send(b"to nobody")
            return ends.closed, after

    assert run_loop(run()) == (1, (False, None))


def test_a_part_of_a_frame_that_was_found_by_looking_is_completed_by_reading(run_loop):
    async def run():
        async with linked() as ends:
            frame = encode_frame(Kind.RESULT, 1, b"body")
            ends.theirs.send(frame[:9])
            ends.link.poll(1.0)
            assert not ends.frames
            ends.theirs.send(frame[9:])
            await ends.until(lambda: ends.frames)
            return ends.frames[0].body

    assert run_loop(run()) == b"body"


def test_closing_with_bytes_that_were_not_taken_is_told_once_and_frees_the_descriptor(run_loop):
    async def run():
        async with linked() as ends:
            ends.link.send(encode_frame(Kind.CALL, 1, LARGE))
            ends.link.close()
            ends.link.close()
            ends.link.send(b"more")
            await ends.until(lambda: ends.closed)
            await asyncio.sleep(0)
            return ends.closed, ends.ours.fileno()

    assert run_loop(run()) == (1, -1)


def test_a_worker_that_leaves_while_it_is_sent_to_is_told_once(run_loop):
    async def run():
        async with linked() as ends:
            ends.link.send(encode_frame(Kind.CALL, 1, LARGE))
            ends.theirs.close()
            await ends.until(lambda: ends.closed)
            ends.link.send(b"more")
            return ends.closed

    assert run_loop(run()) == 1


def test_what_a_worker_has_said_before_it_left_is_heard_before_its_end(run_loop):
    async def run():
        async with linked() as ends:
            order = []
            ends.link._on_frames = lambda frames: order.extend(frame.number for frame in frames)
            ends.link._on_closed = lambda: (order.append("closed"), ends.came.set())
            await ends.say(b"".join(encode_frame(Kind.RESULT, n, b"x") for n in (1, 2)))
            ends.hold(3, encode_frame(Kind.RESULT, 3, b"held"))
            ends.theirs.close()
            await ends.until(lambda: "closed" in order)
            return order

    assert run_loop(run()) == [1, 2, 3, "closed"]


def test_answers_that_a_worker_holds_back_are_collected_once(run_loop):
    async def run():
        async with linked() as ends:
            ends.hold(7, encode_frame(Kind.RESULT, 6, b"held"))
            for _ in range(3):
                ends.link.collect()
            ends.hold(7, encode_frame(Kind.RESULT, 6, b"held") + encode_frame(Kind.RESULT, 7, b"more"))
            ends.link.collect()
            return [frame.number for frame in ends.frames]

    assert run_loop(run()) == [6, 6, 7]


def test_a_call_to_stop_is_noted_on_the_shared_page(run_loop):
    async def run():
        async with linked() as ends:
            ends.link.cancel(9)
            return CANCELLED.unpack_from(ends.page, CANCELLED_AT)[0]

    assert run_loop(run()) == 9


@pytest.mark.parametrize("held", [3, 16, 17, PROGRESS_BYTES, 0xFFFFFFFF])
def test_nonsense_on_the_shared_page_is_not_read(run_loop, held):
    async def run():
        async with linked() as ends:
            ends.page[ANSWERS_AT:] = b"\xff" * (PROGRESS_BYTES - ANSWERS_AT)
            HELD.pack_into(ends.page, HELD_AT, held)
            ends.link.collect()
            return ends.frames

    assert run_loop(run()) == []


@pytest.mark.parametrize("meta", [b"\xc1", b"\x90", b"\x01", b"\xdd\xff\xff\xff\xff", b"\x81\x01\x02", b"\xa2\xff\xfe"])
def test_a_worker_that_sends_no_frames_is_cut_off(run_loop, meta):
    async def run():
        async with linked() as ends:
            header = bytearray(encode_frame(Kind.RESULT, 1))
            header[10] = len(meta)
            await ends.say(bytes(header) + meta)
            await ends.until(lambda: ends.closed)
            return ends.frames, ends.closed

    assert run_loop(run()) == ([], 1)
