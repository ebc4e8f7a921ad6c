"""Clients of a listener that wants the token, before they have shown it."""

import asyncio
import socket
import ssl
import time

import pytest

from skerry.engine.certificate import own_certificate
from skerry.engine.control import authorizer
from skerry.engine.home import Home
from skerry.runtime import connection as connection_module
from skerry.runtime.front import Front, add_health_routes
from support.echo_service import read_answer
from support.engine_process import wait_until

LIMIT_S = 0.3


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(connection_module, "STRANGER_TIMEOUT_S", LIMIT_S)
    monkeypatch.setattr(connection_module, "LINGER_S", LIMIT_S)


def at(home, run_loop, act, *, tls=False):
    """Have ``act(front, port)`` be a client of a front that wants the token."""

    async def run():
        front = Front(authorize=authorizer(home, is_loopback=False), is_loopback=False)
        add_health_routes(front, is_ready=lambda: True)
        context = own_certificate(home, "127.0.0.1").context() if tls else None
        port = await front.listen("127.0.0.1", 0, tls=context)
        try:
            await act(front, port)
        finally:
            await front.stop_listening()
            await front.finish(limit_s=1.0)

    run_loop(run())


def get(path, *headers):
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: h", *headers, "", ""]).encode()


@pytest.mark.parametrize("sent", [b"", b"GET /hea", get("/health/liveness", "content-length: 9") + b"1"])
@pytest.mark.parametrize("tls", [False, True])
def test_who_does_not_say_who_it_is_is_sent_away(home, run_loop, sent, tls):
    async def act(front, port):
        trust = ssl.create_default_context(cafile=home.path / "certificate.pem") if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.write(sent)
        began_s = time.monotonic()
        answer = await asyncio.wait_for(reader.read(), 20)
        assert time.monotonic() - began_s < connection_module.HEAD_TIMEOUT_S / 2
        assert answer.startswith(b"HTTP/1.1 400" if sent else b"")
        writer.close()

    at(home, run_loop, act, tls=tls)


def test_more_of_a_request_gives_no_more_time(home, run_loop):
    async def act(front, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get("/health/liveness", "content-length: 1000"))

        async def trickle():
            while not reader.at_eof():
                writer.write(b"x")
                await asyncio.sleep(LIMIT_S / 10)

        task = asyncio.create_task(trickle())
        assert (await asyncio.wait_for(read_answer(reader), 20))[0] == 400
        task.cancel()
        writer.close()

    at(home, run_loop, act)


def test_a_client_that_does_not_end_tls_is_cut_off(home, run_loop):
    async def act(front, port):
        trust = ssl.create_default_context(cafile=home.path / "certificate.pem")

        def connect():
            return trust.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="127.0.0.1")

        with await asyncio.to_thread(connect):  # and nothing is read
            await asyncio.to_thread(wait_until, lambda: front.connections)
            async with asyncio.timeout(20):
                await next(iter(front.connections)).closed.wait()

    at(home, run_loop, act, tls=True)


def test_who_has_shown_the_token_stays(home, run_loop):
    async def act(front, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        late, later = await asyncio.open_connection("127.0.0.1", port)
        bearer = f"authorization: Bearer {home.token()}"
        writer.write(get("/health/liveness", bearer))
        assert (await asyncio.wait_for(read_answer(reader), 20))[0] == 200
        assert await asyncio.wait_for(late.read(), 20) == b""  # the time is over
        writer.write(get("/health/liveness"))
        status, headers, _ = await asyncio.wait_for(read_answer(reader), 20)
        assert (status, headers.get("connection")) == (200, None)
        writer.close()
        later.close()

    at(home, run_loop, act)


def test_who_asks_for_health_without_the_token_is_answered_once(home, run_loop):
    async def act(front, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get("/health/readiness") * 2)
        status, headers, _ = await asyncio.wait_for(read_answer(reader), 20)
        assert (status, headers["connection"]) == (200, "close")
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()

    at(home, run_loop, act)
