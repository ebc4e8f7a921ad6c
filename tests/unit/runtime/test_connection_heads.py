"""Heads that came before and are not parsed again: nobody must be able to tell."""

import asyncio
import gc
import weakref

import pytest
import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skerry.runtime.known_heads import MAX_HEAD_BYTES, MAX_HEADS
from support.echo_service import post
from support.fed_connection import FunctionService, connect, seen, sent


@pytest.fixture(scope="module")
def loop():
    made = uvloop.new_event_loop()
    yield made
    made.close()


def feed(loop, connections, *, learning=True, at_once=True, trusted=False):
    """Feed several connections of one service, one after the other; return what each sent, and all requests seen."""

    async def run():
        service = FunctionService(learning=learning, at_once=at_once)
        outcomes = []
        for reads in connections:
            connection = connect(service, trusted=trusted)
            for data in reads:
                if not connection._transport.closed:
                    connection.data_received(data)
                outcomes.append((sent(connection), connection._transport.closed))
            service.answer_all()
            outcomes.append((sent(connection), connection._transport.closed))
            connection.connection_lost(None)
        return outcomes, [seen(exchange) for exchange in service.exchanges], service.heads

    return loop.run_until_complete(run())


# Any requests

TRACE = b"traceparent: 00-%b" + b"a" * 31 + b"-" + b"b" * 16 + b"-01"
LINES = [
    b"Host: x",
    b"HOST:x",
    b"Accept: */*",
    b"X-Folded: a\r\n b",
    b"X-Space : a",
    b"X-Nul: a\0b",
    b"X-Empty:",
    b"X-Tab:\ta\t",
    b"no colon",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: keep-alive, Close",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"Expect: 100-continue",
    b"Expect: something",
    b"Authorization: Bearer x",
    b"Cookie: a=b",
    TRACE % b"1",
    TRACE % b"2",
    TRACE % b"1" + b"\r\n" + TRACE % b"2",
    (TRACE % b"1").title(),
    TRACE % b"x",
    TRACE[:-1] % b"1",
    b"traceparent: ",
    b"X: " + TRACE % b"1",
    b"Content-Type: application/json",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip",
    b"Content-Length: 0",
    b"Content-Length: 3",
    b"Content-Length: 3, 3",
    b"Content-Length: +3",
    b"Content-Length: 003",
    b"Content-Length:\t3 ",
    b"Content-Length: 99999999999999999999",
]
KEPT = [b"Host: x", b"HOST:x", b"Connection: keep-alive", b"Content-Type: application/json", TRACE % b"1", TRACE % b"2"]
FRAMINGS = ["right"] * 5 + ["none", "short", "long", "chunked", "both", "both, chunked first", "twice"]
BODIES = [b"", b"", b"abc", b"abc", b"\r\n\r\n", b"GET /route HTTP/1.1\r\n\r\n", post(b"/f", b"x")]
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n"
NAMES = [b"content-length: %d", b"Content-Length: %d", b"CONTENT-LENGTH:%d", b"Content-Length:   %d  "]


def request_of(start, lines, framing, body, name, ending):
    length = name % len(body)
    chunked = b"Transfer-Encoding: chunked"
    framed = {
        "right": [length],
        "none": [],
        "short": [name % max(0, len(body) - 1)],
        "long": [name % (len(body) + 1)],
        "chunked": [chunked],
        "both": [length, chunked],
        "both, chunked first": [chunked, length],
        "twice": [length, length],
    }[framing]
    if "c" in framing[:1] or "both" in framing:
        body = CHUNK % (len(body), body) if body else b"0\r\n\r\n"
    return ending.join([start, *lines, *framed, b""]) + ending + body


STARTS = [b"POST /f HTTP/1.1"] * 6 + [
    b"POST /f/2 HTTP/1.1",
    b"POST /f HTTP/1.0",
    b"POST /route HTTP/1.1",
    b"POST /nowhere HTTP/1.1",
    b"GET /f HTTP/1.1",
    b"GET /route HTTP/1.1",
    b"HEAD /route HTTP/1.1",
    b"POST http://host/f HTTP/1.1",
    b"post /f HTTP/1.1",
    b"POST  /f HTTP/1.1",
    b"POST /f?a=b HTTP/1.1",
    b"\r\nPOST /f HTTP/1.1",
    b"CONNECT f:80 HTTP/1.1",
]
ENDINGS = [b"\r\n"] * 8 + [b"\n"]
MOST_PICKS = 160  # which the longest history makes seldom; what follows the last is the first of its kind


class Picks:
    """Reads choices from bytes: drawn by hypothesis one by one, they take ten times as long as the test of them."""

    def __init__(self, data):
        self._data = iter(data)

    def below(self, number):
        return next(self._data, 0) % number

    def one_of(self, found):
        return found[self.below(len(found))]

    def some_of(self, found, *, least=0, most):
        return [self.one_of(found) for _ in range(least + self.below(most + 1 - least))]

    def request(self):
        return request_of(
            self.one_of(STARTS),
            self.some_of(LINES, most=self.one_of([0, 2])),
            self.one_of(FRAMINGS),
            self.one_of(BODIES),
            self.one_of(NAMES),
            self.one_of(ENDINGS),
        )

    def plain(self):
        """Make a request whose head is kept."""
        start, lines = self.one_of([b"POST /f HTTP/1.1", b"POST /f/2 HTTP/1.1"]), self.some_of(KEPT, most=2)
        return request_of(start, lines, "right", self.one_of(BODIES), self.one_of(NAMES), b"\r\n")

    def stock(self):
        return [self.plain() for _ in range(1 + self.below(2))] + [self.request() for _ in range(self.below(3))]

    def requests(self):
        """Make a few requests, some of them more than once."""
        return self.some_of(self.stock(), least=1, most=5)

    def history(self):
        """Make the reads of a few connections: requests of a small stock again and again, cut here and there."""
        stock = self.stock()
        return [
            [piece for _ in range(1 + self.below(5)) for piece in self.read(stock)] for _ in range(1 + self.below(4))
        ]

    def read(self, stock):
        read = b"".join(self.some_of(stock, least=1, most=self.one_of([1, 1, 3])))
        read = read.replace(TRACE % b"1", TRACE % self.one_of([b"1", b"3"]))  # a value of its own each time
        at = self.one_of([0, 0, 0, 1]) and (256 * self.below(256) + self.below(256)) % (len(read) + 1)
        return [piece for piece in (read[:at], read[at:]) if piece]


def picked(number, what):
    return st.binary(min_size=number, max_size=number).map(lambda data: what(Picks(data)))


HISTORIES = picked(MOST_PICKS, Picks.history)
REQUESTS = picked(50, Picks.requests)

CLOSING = b"POST /f HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
EXPECTING = b"POST /f HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 0\r\n\r\n"
PROBE = b"GET /route HTTP/1.1\r\n\r\n"


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(HISTORIES, st.booleans())
@example([[post(b"/f")], [CLOSING + post(b"/f")], [CLOSING, post(b"/f")]], False)
@example([[EXPECTING, EXPECTING], [EXPECTING[:20], EXPECTING[20:], EXPECTING]], True)
@example([[post(b"/f")[:20], post(b"/f")[20:], PROBE], [PROBE]], True)
def test_a_known_head_behaves_as_an_unknown_one(loop, connections, at_once):
    known, known_requests, _ = feed(loop, connections, at_once=at_once)
    fresh, fresh_requests, _ = feed(loop, connections, at_once=at_once, learning=False)
    assert known == fresh
    assert known_requests == fresh_requests


@settings(max_examples=200, deadline=None)
@given(REQUESTS, st.integers(1, 7))
def test_heads_are_known_in_whatever_pieces_their_requests_come_again(loop, requests, size):
    whole = [[request] for request in requests]
    stream = b"".join(requests)
    cut = [[stream[at : at + size] for at in range(0, len(stream), size)]]
    assert feed(loop, whole + cut)[:2] == feed(loop, whole + cut, learning=False)[:2]


# What is kept


def heads_after(loop, *reads, trusted=False):
    return feed(loop, [list(reads)], trusted=trusted)[2][trusted]


def test_the_head_of_a_plain_request_to_a_function_is_kept(loop):
    assert list(heads_after(loop, post(b"/f", b"abc"))) == [post(b"/f", b"abc")[:-3]]


@pytest.mark.parametrize(
    "name",
    [b"authorization", b"Authorization", b"proxy-authorization", b"cookie", b"COOKIE", b"origin"],
)
def test_heads_with_secrets_or_what_is_checked_each_time_are_not_kept(loop, name):
    assert not heads_after(loop, *[post(b"/f", b"abc", name + b": x")] * 2)


def test_a_head_is_known_whatever_its_traceparent_and_each_request_has_its_own(loop):
    requests = [post(b"/f", b"abc", TRACE % digit) for digit in (b"1", b"2", b"3")]
    _, found, heads = feed(loop, [requests])

    assert len(heads[False]) == 1
    assert [dict(headers)[b"traceparent"][3:4] for _, _, headers, *_ in found] == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    "lines",
    [
        TRACE % b"1" + b"\r\n" + TRACE % b"2",
        (TRACE % b"1").title(),
        TRACE % b"x",
        TRACE.replace(b": 00", b": 01") % b"1",
        TRACE % b"1" + b"-more",
        b"traceparent: ",
    ],
)
def test_heads_with_traceparents_of_another_form_are_not_kept(loop, lines):
    assert not heads_after(loop, *[post(b"/f", b"abc", lines)] * 2)


def test_an_empty_traceparent_is_no_known_head(loop):
    traced, empty = post(b"/f", b"abc", TRACE % b"1"), post(b"/f", b"abc", b"traceparent: ")
    outcomes = [feed(loop, [[traced, empty]], learning=learning)[:2] for learning in (True, False)]

    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /route HTTP/1.1\r\n\r\n",
        b"POST /route HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        b"POST /f HTTP/1.0\r\ncontent-length: 0\r\n\r\n",
        b"POST /f HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        b"POST /f HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /f HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 0\r\n\r\n",
        b"POST /f HTTP/1.1\ncontent-length: 0\n\n",
        post(b"/f", b"", b"x: " + b"y" * MAX_HEAD_BYTES),
        post(b"/f") * 2,
    ],
)
def test_the_heads_of_other_requests_are_not_kept(loop, request_bytes):
    assert not heads_after(loop, request_bytes)


def test_a_bounded_number_of_heads_is_kept(loop):
    heads = heads_after(loop, *(post(b"/f/%d" % i) for i in range(2 * MAX_HEADS + 10)))
    assert 0 < len(heads) <= MAX_HEADS


def test_a_head_that_a_trusted_connection_sent_is_not_known_to_others(loop):
    async def run():
        service = FunctionService()
        for trusted in (True, False):
            connection = connect(service, trusted=trusted)
            connection.data_received(post(b"/f"))
            connection.connection_lost(None)
            yield_heads.append({key: set(heads) for key, heads in service.heads.items()})

    yield_heads = []
    loop.run_until_complete(run())
    assert yield_heads[0][False] == set()
    assert len(yield_heads[0][True]) == 1
    assert yield_heads[1][False] == yield_heads[0][True]


def test_an_untrusted_request_with_a_head_of_a_trusted_connection_is_checked(loop):
    class Guarded(FunctionService):
        checked = 0

        def accept(self, exchange):
            self.checked += not exchange.connection.trusted
            return super().accept(exchange)

    async def run():
        service = Guarded()
        for trusted in (True, True, False):
            connection = connect(service, trusted=trusted)
            connection.data_received(post(b"/f"))
            connection.connection_lost(None)
        return service.checked

    assert loop.run_until_complete(run()) == 1


def test_a_head_is_not_learnt_from_the_request_before_it(loop):
    function = post(b"/f")
    _, requests, heads = feed(loop, [[function[:20], function[20:], PROBE], [PROBE]])
    assert [request[1] for request in requests] == [b"/f", b"/route", b"/route"]
    assert not heads[False]


def test_nothing_is_run_after_a_request_that_closes(loop):
    _, requests, _ = feed(loop, [[post(b"/f")], [CLOSING, post(b"/f")], [CLOSING + post(b"/f")]], at_once=False)
    assert len(requests) == 3


def test_heads_are_forgotten_with_the_functions_that_they_named(run_loop):
    """A front that serves another function under a name must not answer from what it knew of the one before."""
    from types import SimpleNamespace

    from skerry.runtime.front import Front

    class Pool:
        def __init__(self, max_body_bytes):
            self.spec = SimpleNamespace(name="f", max_body_bytes=max_body_bytes, local=False)
            self.dispatcher = SimpleNamespace(refusal=None)
            self.taken = 0

        def take(self, exchange):
            self.taken += 1

        def leave(self, exchange):
            pass

    async def run():
        front, first, second = Front(), Pool(1000), Pool(2)
        front.add_function(first)
        connection = connect(front)
        for pool in (first, second):
            front.add_function(pool)
            connection.data_received(post(b"/function/f", b"abc"))
        assert (first.taken, second.taken) == (1, 0)  # too large for the second
        front.remove_function("f")
        other = connect(front)
        other.data_received(post(b"/function/f", b"abc"))
        for made in (connection, other):
            made.connection_lost(None)
        await asyncio.sleep(0)
        return sent(other)[:12]

    assert run_loop(run()) == b"HTTP/1.1 404"


class Noting(FunctionService):
    """Notes its requests without keeping them."""

    def accept(self, exchange):
        self.last = weakref.ref(exchange)
        return super().accept(exchange)

    def handle(self, exchange):
        self.answer(exchange)


@pytest.mark.parametrize(("pieces", "leaves"), [(2, False), (1, True)], ids=["it was answered", "its client has left"])
def test_a_body_that_comes_in_several_reads_is_kept_no_longer_than_its_request(loop, pieces, leaves):
    async def run():
        service = Noting()
        connection = connect(service)
        request = post(b"/f", b"x" * 100)
        for data in (request[:-50], request[-50:])[:pieces]:
            connection.data_received(data)
        if leaves:
            assert service.last() is not None
            connection.connection_lost(None)
        assert service.last() is None
        assert not connection._pieces
        connection.connection_lost(None)

    gc.disable()  # what it would find is found too late where bodies are large
    try:
        loop.run_until_complete(run())
    finally:
        gc.enable()
