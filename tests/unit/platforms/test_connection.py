import os
import re
import socket
import threading
from contextlib import suppress

import pytest

from skerry.errors import AnswerTooLargeError, ConfigError, TransportError
from skerry.platforms.base import Cancellation
from skerry.platforms.http.connection import Address, ConnectionPool


@pytest.fixture
def pool(stub):
    made = ConnectionPool(Address.parse(stub.path))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("unix:/a/b.sock", "/a/b.sock"),
        ("/a/b.sock", "/a/b.sock"),
    ],
)
def test_an_address_is_a_url_or_a_path(text, shown):
    assert str(Address.parse(text)) == shown


@pytest.mark.parametrize("text", ["https://host", "http://host", "http://host:port", "tcp://a:1"])
def test_other_addresses_are_refused(text):
    with pytest.raises(ConfigError, match="write it as"):
        Address.parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:8080", "localhost:80", "[::1]:8080"])
def test_a_host_and_a_port_are_told_that_the_scheme_is_missing(text):
    with pytest.raises(ConfigError, match="the scheme is missing; write it as http://" + re.escape(text)):
        Address.parse(text)


@pytest.mark.parametrize("text", ["unix:80", "run:1/engine.sock", "engine.sock"])
def test_a_path_is_not_taken_for_a_host_and_a_port(text):
    assert Address.parse(text).path is not None


def test_one_connection_serves_many_requests(stub, pool):
    server = stub.serve(lambda method, path, body, headers: stub.Reply(body=body[::-1]))

    answers = [pool.request("POST", "/x", body=b"%d!" % n).body for n in range(5)]

    assert answers == [b"!%d" % n for n in range(5)]
    assert server.connections == 1


def test_as_many_connections_are_open_as_there_are_requests_at_a_time(stub, pool):
    barrier = threading.Barrier(4)

    def answer(*_):
        barrier.wait(10)
        return stub.Reply()

    server = stub.serve(answer)
    threads = [threading.Thread(target=pool.request, args=("GET", "/")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert server.connections == 4


def test_a_connection_that_the_server_closed_is_not_used_again(stub, pool):
    server = stub.serve(lambda *_: stub.Reply(headers={"Connection": "close"}))

    assert [pool.request("GET", "/").status for _ in range(3)] == [200, 200, 200]
    assert server.connections == 3


def test_a_restarted_server_is_reached_by_a_new_connection(stub, pool):
    for _ in range(2):
        with stub.serving(lambda *_: stub.Reply(headers={"Connection": "close"})):
            assert pool.request("GET", "/").status == 200


def test_a_refused_connection_says_that_nothing_was_sent(pool):
    with pytest.raises(TransportError, match="cannot connect") as caught:
        pool.request("GET", "/")

    assert caught.value.details == {"sent": False}


def test_a_lost_answer_says_that_the_request_was_sent(stub, pool):
    stub.serve(lambda *_: stub.Reply(drop=True))

    with pytest.raises(TransportError, match="was lost") as caught:
        pool.request("GET", "/")

    assert caught.value.details == {"sent": True}


def test_a_late_answer_is_an_error(stub, pool):
    release = threading.Event()
    stub.serve(lambda *_: release.wait(10) and stub.Reply())

    with pytest.raises(TransportError, match=r"no answer within 0\.05 s"):
        pool.request("GET", "/", timeout_s=0.05)
    release.set()


def test_cancelling_ends_a_request_that_waits(stub, pool):
    arrived, release = threading.Event(), threading.Event()

    def answer(*_):
        arrived.set()
        release.wait(10)
        return stub.Reply()

    stub.serve(answer)
    cancellation = Cancellation()
    errors = []

    def call():
        try:
            pool.request("GET", "/", cancellation=cancellation)
        except TransportError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert arrived.wait(10)
    cancellation.cancel()
    thread.join(10)
    release.set()

    assert len(errors) == 1


def test_a_forked_child_opens_its_own_connection(stub, pool):
    server = stub.serve(lambda *_: stub.Reply(body=b"fine"))
    pool.request("GET", "/")
    pool._pid = os.getpid() + 1  # what the pool of a parent looks like to its child

    assert pool.request("GET", "/").body == b"fine"
    assert server.connections == 2


def test_a_reply_is_read_as_it_comes(stub, pool):
    release = threading.Event()

    def chunks():
        yield b"first"
        release.wait(10)
        yield b"second"

    server = stub.serve(lambda *_: stub.Reply(chunks=chunks()))
    reply = pool.open("GET", "/")

    assert reply.read_some() == b"first"
    release.set()
    assert [reply.read_some(), reply.read_some(), reply.read_some()] == [b"second", b"", b""]
    pool.request("GET", "/")
    assert server.connections == 1


def test_a_chunk_larger_than_a_read_comes_whole(stub, pool):
    sent = os.urandom(1_000_000)
    stub.serve(lambda *_: stub.Reply(chunks=[sent, b"!"]))
    reply = pool.open("GET", "/")

    assert b"".join(iter(reply.read_some, b"")) == sent + b"!"


def test_large_answers_come_whole_over_one_connection(stub, pool):
    bodies = [bytes([n]) * 1_500_000 for n in range(3)]
    server = stub.serve(lambda method, path, body, headers: stub.Reply(body=bodies[int(path[1:])]))

    answers = [pool.request("GET", f"/{n}").body for n in range(3)]

    assert answers == bodies
    assert server.connections == 1


def test_a_reply_with_a_length_is_read_in_parts_too(stub, pool):
    server = stub.serve(lambda *_: stub.Reply(body=b"x" * 100_000))
    reply = pool.open("GET", "/")

    assert b"".join(iter(reply.read_some, b"")) == b"x" * 100_000
    pool.request("GET", "/")
    assert server.connections == 1


@pytest.mark.parametrize("cut", [[None], [b"some", None]])
def test_a_reply_that_is_cut_is_an_error(stub, pool, cut):
    stub.serve(lambda *_: stub.Reply(chunks=cut))
    reply = pool.open("GET", "/")

    with pytest.raises(TransportError, match="was lost") as caught:
        list(iter(reply.read_some, b""))

    assert caught.value.details == {"sent": True}


@pytest.mark.parametrize("leave", [lambda reply: reply.close(), lambda reply: reply.__del__()])
def test_leaving_a_reply_closes_its_connection(stub, pool, leave):
    gone = threading.Event()

    def chunks():
        try:
            while True:
                yield b"x" * 65536
        except GeneratorExit:
            gone.set()
            raise

    server = stub.serve(lambda *_: stub.Reply(chunks=chunks()))
    reply = pool.open("GET", "/")
    reply.read_some()
    leave(reply)

    assert gone.wait(10)
    assert reply.read_some() == b""
    server.answer = lambda *_: stub.Reply()
    pool.request("GET", "/")
    assert server.connections == 2


def test_a_silent_reply_is_an_error(stub, pool):
    release = threading.Event()
    stub.serve(lambda *_: stub.Reply(chunks=(release.wait(10) and b"" for _ in range(1))))
    reply = pool.open("GET", "/")

    with pytest.raises(TransportError, match=r"no answer within 0\.05 s"):
        reply.read_some(timeout_s=0.05)
    release.set()


def test_cancelling_ends_a_reply_that_is_read(stub, pool):
    release = threading.Event()

    def chunks():
        yield b"a"
        release.wait(10)
        yield b"b"

    stub.serve(lambda *_: stub.Reply(chunks=chunks()))
    cancellation = Cancellation()
    reply = pool.open("GET", "/", cancellation=cancellation)
    assert reply.read_some() == b"a"
    cancellation.cancel()

    with pytest.raises(TransportError):
        reply.read_some()
    release.set()


class Raw:
    """A server that answers each connection with the same bytes, and keeps what it was sent."""

    def __init__(self, path, answer):
        self.answer, self.sent = answer, []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # its client may have heard enough
                self.sent.append(connection.recv(65_536))
                connection.sendall(self.answer)


@pytest.fixture
def raw(tmp_path):
    servers = []

    def serve(answer):
        servers.append(Raw(tmp_path / f"raw-{len(servers)}", answer))
        return servers[-1], ConnectionPool(Address.parse(tmp_path / f"raw-{len(servers) - 1}"))

    yield serve
    for server in servers:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()


def test_a_small_request_is_sent_in_one_piece(raw):
    server, pool = raw(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert pool.request("POST", "/a?b=c", body=b"body", headers={"X-One": "1"}).status == 204
    assert server.sent == [
        b"POST /a?b=c HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n"
        b"Content-Length: 4\r\nX-One: 1\r\n\r\nbody"
    ]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\nX-A: no\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nup to the end", b"up to the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
    ],
)
def test_answers_of_other_servers_are_understood(raw, answer, body):
    _, pool = raw(answer)
    response = pool.request("GET", "/")
    assert (response.status, response.body) == (200, body)
    assert "x-a" not in response.headers


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "was lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf", "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + bytes(900_000), "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\nhalf", "cut off"),
    ],
)
def test_what_is_no_whole_answer_is_an_error(raw, answer, why):
    _, pool = raw(answer)
    with pytest.raises(TransportError, match=why):
        pool.request("GET", "/")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 1_500_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 200_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 60_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: " + b"a" * 1_500_000,
    ],
    ids=["a long header", "many headers", "many heads", "a long trailer"],
)
def test_headers_without_an_end_are_given_up(raw, answer):
    _, pool = raw(answer)
    with pytest.raises(TransportError, match="more than 1048576 bytes of headers"):
        pool.request("GET", "/")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1001,
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1001),
    ],
    ids=["told", "told far beyond", "in chunks", "up to the end"],
)
def test_a_body_larger_than_is_taken_is_refused(raw, answer):
    _, pool = raw(answer)
    with pytest.raises(AnswerTooLargeError, match="larger than 1000 bytes"):
        pool.open("GET", "/").read_all(most_bytes=1000)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 1000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1000 + b"0\r\n\r\n",
    ],
    ids=["told", "in chunks"],
)
def test_a_body_as_large_as_is_taken_comes_whole(raw, answer):
    _, pool = raw(answer)
    assert pool.open("GET", "/").read_all(most_bytes=1000).body == b"a" * 1000


def test_headers_that_come_twice_are_one_list(raw):
    _, pool = raw(b"HTTP/1.1 200 OK\r\nVary: a\r\nVary: b\r\nContent-Length: 0\r\n\r\n")
    assert pool.request("GET", "/").headers["vary"] == "a, b"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: 1", {}),
        ("/", {"X-One": "1\r\nX-Two: 2"}),
        ("/", {"X One": "1"}),
        ("/", {"X": "\u20ac"}),
    ],
)
def test_what_would_break_a_request_is_not_sent(stub, pool, path, headers):
    server = stub.serve(lambda *_: stub.Reply())
    with pytest.raises(ConfigError):
        pool.request("GET", path, headers=headers)
    assert not server.requests
