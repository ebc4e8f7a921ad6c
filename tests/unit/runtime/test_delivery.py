import asyncio
import socket
import struct

import pytest

from skerry.runtime import delivery
from skerry.runtime.front import Front
from skerry.runtime.message import Response

LARGE = b"x" * 1_000_000
PATIENCE_S = 0.2  # with those who take nothing


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(delivery, "STALLED_S", PATIENCE_S)


async def start(*, body=LARGE):
    """Start a front; return it with a client that has asked, and has read the beginning of the answer."""
    front = Front()
    front.route("GET", "/large", lambda _: Response(body))
    port = await front.listen("127.0.0.1", 0)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
    begun = await loop.sock_recv(client, 1024)
    await front.stop_listening()
    assert begun.startswith(b"HTTP/1.1 200")
    return front, client, begun


async def gone(front):
    """Wait until the front has seen that its clients have left."""
    await asyncio.gather(*(connection.closed.wait() for connection in front.connections))


async def read_on(client):
    loop, found = asyncio.get_running_loop(), b""
    while piece := await loop.sock_recv(client, 1 << 16):
        found += piece
    return found


def test_a_front_ends_once_its_clients_have_their_answers(run_loop):
    async def run():
        front, client, begun = await start()
        with client:
            ending = asyncio.ensure_future(front.finish(limit_s=20.0))
            whole = begun + await read_on(client)
            await ending
        assert whole.endswith(b"\r\n\r\n" + LARGE)

    run_loop(run())


def test_what_a_client_has_not_acknowledged_is_waited_for(run_loop):
    async def run():
        front, client, begun = await start(body=b"x" * 200_000)  # the kernel takes all of it
        (connection,) = front.connections
        with client:
            ending = asyncio.ensure_future(front.finish(limit_s=20.0))
            await connection.closed.wait()
            assert not ending.done()
            whole = begun + await read_on(client)
            await ending
        assert whole.endswith(b"\r\n\r\n" + b"x" * 200_000)

    run_loop(run())


def test_a_client_that_takes_nothing_is_not_waited_for_long(run_loop):
    async def run():
        front, client, _ = await start()
        with client:
            await front.finish(limit_s=20.0)
        await gone(front)

    run_loop(run())


def test_a_client_that_has_left_is_not_waited_for(run_loop, monkeypatch):
    monkeypatch.setattr(delivery, "STALLED_S", 60.0)

    async def run():
        front, client, _ = await start()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await front.finish(limit_s=60.0)

    run_loop(run())


def test_the_limit_holds_for_a_client_that_takes_its_answer_too_slowly(run_loop, monkeypatch):
    monkeypatch.setattr(delivery, "STALLED_S", 60.0)

    async def run():
        front, client, _ = await start()
        with client:
            await front.finish(limit_s=0.1)
        await gone(front)

    run_loop(run())


def test_without_descriptors_to_spare_what_was_written_has_to_do(run_loop, monkeypatch):
    def refuse(_):
        raise OSError("too many open files")

    monkeypatch.setattr("skerry.runtime.connection.os.dup", refuse)

    async def run():
        front, client, _ = await start(body=b"x" * 200_000)
        with client:
            await front.finish(limit_s=20.0)
            assert not front.connections

    run_loop(run())


def test_what_is_no_socket_holds_nothing_back(tmp_path):
    with open(tmp_path / "file", "w") as file:
        assert delivery.unacknowledged_bytes(file.fileno()) == 0


def test_a_connection_that_has_no_socket_any_more_is_finished_like_others(run_loop):
    class Ending:
        """A transport of TLS whose end is under way."""

        def __init__(self, transport):
            self._whole = transport

        def __getattr__(self, name):
            return getattr(self._whole, name)

        def get_extra_info(self, name, default=None):
            return None if name == "socket" else self._whole.get_extra_info(name, default)

    async def run():
        front, client, begun = await start(body=b"x")
        (connection,) = front.connections
        connection._transport = Ending(connection._transport)
        await front.finish(limit_s=20, patience_s=20)
        assert begun.endswith(b"x")
        assert not front.connections
        client.close()

    run_loop(run())
