import asyncio
import contextlib
import errno
import logging
import socket
import ssl

import pytest

from skerry.engine.certificate import own_certificate
from skerry.engine.home import Home
from skerry.runtime import room as room_module
from skerry.runtime import tls_door
from skerry.runtime.front import Front
from skerry.runtime.room import Room


def most(files, *, public):
    room = Room(files)
    return next(number for number in range(files, -1, -1) if number == 0 or room.takes(number - 1, public=public))


@pytest.mark.parametrize(
    ("files", "here", "elsewhere"),
    [(64, 48, 32), (256, 192, 128), (1024, 896, 768), (20_000, 17_500, 15_000), (1 << 20, 1_044_480, 1_040_384)],
)
def test_some_descriptors_are_kept_from_all_connections_and_some_more_from_those_of_other_machines(
    files, here, elsewhere
):
    assert (most(files, public=False), most(files, public=True)) == (here, elsewhere)


def test_the_log_tells_of_a_crowd_now_and_then(monkeypatch, caplog):
    now_s = 1000.0
    monkeypatch.setattr(room_module.time, "monotonic", lambda: now_s)
    room = Room(256)
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            assert not room.takes(255)
        now_s += room_module.LOG_PERIOD_S
        assert not room.takes(255)
    assert room.refused_total == 51
    assert [record.args[0] for record in caplog.records] == [1, 50]


class Short(socket.socket):
    """A listener whose first connection finds no descriptor left."""

    failed = False

    def accept(self):
        if not self.failed:
            self.failed = True
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_a_door_that_finds_no_descriptor_left_opens_again(run_loop, tmp_path, monkeypatch):
    monkeypatch.setattr(tls_door, "PAUSE_S", 0.05)
    monkeypatch.setattr(tls_door.socket, "create_server", lambda address, **_: _listen(address))
    home = Home(tmp_path / "home")
    home.create()

    async def run():
        front = Front()
        port = await front.listen("127.0.0.1", 0, tls=own_certificate(home, "127.0.0.1").context())
        trust = ssl.create_default_context(cafile=home.path / "certificate.pem")
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            writer.write(b"GET /nothing HTTP/1.1\r\nhost: h\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await front.stop_listening()
        await front.finish(limit_s=1.0)

    run_loop(run())


def _listen(address):
    listener = Short(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen()
    return listener
