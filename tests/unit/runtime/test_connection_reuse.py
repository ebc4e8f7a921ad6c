"""Requests that stand for the next ones on their connection: nobody must be able to tell."""

import gc
import os
import tracemalloc

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import SkerryError
from skerry.runtime.call import Slot
from skerry.runtime.dispatcher import MAX_RETURNS
from skerry.runtime.exchange import Exchange
from skerry.runtime.frames import FrameReader, Kind, encode_frame
from skerry.runtime.front import Front
from skerry.runtime.known_heads import KnownHead
from skerry.runtime.pool import WorkerPool
from skerry.runtime.target import Target
from skerry.spec import FunctionSpec
from support.fed_connection import connect, sent

TRACE = "traceparent: 00-" + "a" * 32 + "-" + "b" * 16 + "-01\r\n"
KINDS = {
    "plain": "",
    "other": "X-Other: 1\r\n",
    "traced": TRACE,
    "deadline": "Skerry-Timeout-Ms: 60000\r\n",
    "urgent": "Priority: u=1\r\n",
    "timed": "Skerry-Timing: 1\r\n",
}


class Port:
    """A worker's connection that keeps what is sent to it."""

    def __init__(self):
        self.sent = b""

    def send(self, data):
        self.sent += data

    def running(self):
        return 0

    def cancel(self, number):
        pass

    def poll(self, limit_s):
        return False


class Server:
    """A front with a function whose only worker is played. Needs a running loop."""

    def __init__(self):
        self.front = Front()
        self.connection = connect(self.front)
        self.deploy()

    def deploy(self):
        self.pool = WorkerPool(
            FunctionSpec(name="echo", queue=2),
            Target(root=None, file=None, module="played", environment={}),
            nursery=None,
            reaper=None,
            open_log=lambda: os.dup(2),
            notify=lambda kind, details: None,
        )
        self.front.add_function(self.pool, alone=True)
        self.add_worker()

    def add_worker(self):
        self.port = Port()
        self.slot = Slot(self.port)
        self.pool.dispatcher.worker_ready(self.slot)

    def ask(self, body, more="", path="/"):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        self.connection.data_received(head.encode() + body)

    def take(self):
        """Return the calls that the worker has been given."""
        self.pool.dispatcher.pump()
        calls, self.port.sent = FrameReader().feed(self.port.sent), b""
        return [frame for frame in calls if frame.kind == Kind.CALL]

    def answer(self, call, body, kind=Kind.RESULT, **options):
        frame = encode_frame(kind, call.number, body, **options)
        self.pool.dispatcher.heard(self.slot, FrameReader().feed(frame))

    def serve(self, body, times=1):
        """Ask and answer, ``times`` times."""
        for _ in range(times):
            self.ask(body)
            (call,) = self.take()
            self.answer(call, body)

    def answers(self):
        """Return what the client was sent since it was looked at last."""
        said, self.connection._transport.sent = sent(self.connection), b""
        return said


@pytest.fixture
def run():
    loop = uvloop.new_event_loop()

    def to_end(test):
        async def inside():
            return test(Server())

        return loop.run_until_complete(inside())

    yield to_end
    loop.close()


ASKED = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.binary(min_size=1, max_size=5), st.sampled_from(["result", "error"])),
    min_size=1,
    max_size=12,
)


@given(asked=ASKED)
@settings(max_examples=100, deadline=None)
def test_each_request_is_its_own_whatever_came_before_it(asked):
    loop = uvloop.new_event_loop()

    def fresh(kind, body, outcome):
        return play(Server(), kind, body, outcome)

    async def inside():
        server = Server()
        for kind, body, outcome in asked:
            assert play(server, kind, body, outcome) == fresh(kind, body, outcome)

    try:
        loop.run_until_complete(inside())
    finally:
        loop.close()


def play(server, kind, body, outcome):
    """Return what the worker and the client of one request have seen."""
    server.ask(body, KINDS[kind])
    (call,) = server.take()
    if outcome == "result":
        server.answer(call, body)
    else:
        server.answer(call, b"{}", Kind.ERROR, meta={"status": 500})
    said = server.answers()
    timing = said.find(b"server-timing")  # differs from one call to the next
    near_deadline = bool(call.time)
    return call.codec, call.meta, near_deadline, bytes(call.body), said[:timing] if timing >= 0 else said


def test_the_next_request_finds_the_function_that_has_taken_over(run):
    def test(server):
        server.serve(b"1", times=3)
        old = server.pool
        server.deploy()
        server.ask(b"2")
        assert old.dispatcher.in_system == 0
        (call,) = server.take()
        server.answer(call, b"2")
        assert server.answers().endswith(b"2")

    run(test)


@pytest.mark.parametrize("in_flight", [False, True])
def test_a_connection_keeps_nothing_of_a_function_that_is_gone(run, in_flight):
    def test(server):
        server.serve(b"1", times=3)
        old, slot = server.pool, server.slot
        if in_flight:
            server.ask(b"1")
            (call,) = server.take()
        server.deploy()
        if in_flight:
            frame = encode_frame(Kind.RESULT, call.number, b"1")
            old.dispatcher.heard(slot, FrameReader().feed(frame))
        gc.collect()
        # By its type: some things that other tests have imported object to being asked with `isinstance`.
        assert not [thing for thing in gc.get_referrers(old) if type(thing) in {Exchange, KnownHead}]

    run(test)


def test_a_refused_request_leaves_nothing_to_the_next(run):
    def test(server):
        server.serve(b"1", times=2)
        server.answers()
        server.pool.dispatcher.refuse(SkerryError("not now"))
        server.ask(b"2")
        assert b"not now" in server.answers()
        server.pool.dispatcher.accept()
        server.ask(b"3")
        (call,) = server.take()
        assert call.body == b"3"
        server.answer(call, b"3")
        assert server.answers().endswith(b"\r\n\r\n3")

    run(test)


class FirstOnly:
    """A tracer that samples the first request only."""

    traceparent = "00-" + "c" * 32 + "-" + "d" * 16 + "-01"

    def __init__(self):
        self.left = 1

    def start_request(self, traceparent, tracestate):
        self.left -= 1
        return self if self.left >= 0 else None


def test_a_traced_request_leaves_its_trace_to_nobody(run):
    def test(server):
        server.ask(b"1")
        (call,) = server.take()
        server.answer(call, b"1")
        server.front.tracer = FirstOnly()
        metas = []
        for _ in range(2):
            server.ask(b"1")
            (call,) = server.take()
            metas.append(call.meta)
            server.answer(call, b"1")
        assert metas == [{"traceparent": FirstOnly.traceparent}, {}]

    run(test)


def test_workers_that_died_before_they_began_count_for_their_own_request_only(run):
    def test(server):
        for _ in range(MAX_RETURNS + 3):
            server.ask(b"1")
            server.take()
            server.pool.dispatcher.worker_lost(server.slot)
            server.add_worker()
            (call,) = server.take()
            server.answer(call, b"1")
            assert server.answers().endswith(b"\r\n\r\n1")

    run(test)


def test_an_idle_connection_keeps_no_body(run):
    def test(server):
        def once():
            server.ask(bytes(1_000_000))
            (call,) = server.take()
            server.answer(call, b"1")

        for _ in range(3):
            once()
        tracemalloc.start()
        try:
            once()
            assert tracemalloc.get_traced_memory()[0] < 100_000
        finally:
            tracemalloc.stop()

    run(test)
