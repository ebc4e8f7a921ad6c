"""What a relay does with bytes that it reads late."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import pytest

from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.relay_stream import RelayLane, RelayStream
from skerry.testbed.links.stamps import STAMP_BYTES, ask_for_stamps, stamp_ns

LATE_S = 0.05
DELAY_S = 0.2
STAMPS_S = 10.0
CLOCKS_S = 0.01  # between the wall clock's stamp and the monotonic clock, and what passes between two lines here


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection over the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    far.setblocking(False)
    with near, far:
        ask_for_stamps(far)
        _await_stamps(near, far)
        yield near, far


def _await_stamps(near: socket.socket, far: socket.socket) -> None:
    """Wait until what arrives has stamps: the kernel switches them on a moment after they were asked for."""
    end_s = time.monotonic() + STAMPS_S
    notes: list[tuple[int, int, bytes]] = []
    while stamp_ns(notes) is None:
        assert time.monotonic() < end_s
        near.send(b"x")
        assert select.select([far], [], [], STAMPS_S)[0]
        notes = far.recvmsg(1, STAMP_BYTES)[1]


def _be_late(since_s: float) -> None:
    time.sleep(max(0.0, since_s + LATE_S - time.monotonic()))


def test_the_delay_counts_from_the_arrival(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    stream = RelayStream(far, near, RelayLane(Conditions(delay_ms=DELAY_S * 1000), seed="late"), 0.0)
    before_s = time.monotonic()
    near.send(b"x")
    sent_s = time.monotonic()
    _be_late(sent_s)
    stream.read()
    assert stream.due_s is not None
    assert before_s + DELAY_S - CLOCKS_S <= stream.due_s <= sent_s + DELAY_S + CLOCKS_S


def test_what_came_while_the_target_took_nothing_sets_out_when_it_does(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    stream = RelayStream(far, near, RelayLane(Conditions(delay_ms=DELAY_S * 1000), seed="full"), 0.0)
    stream.blocked = True
    near.send(b"x")
    _be_late(time.monotonic())
    free_s = time.monotonic()
    stream.write()
    stream.read()
    assert stream.due_s is not None
    assert stream.due_s >= free_s + DELAY_S - CLOCKS_S


def test_what_came_during_a_cut_sets_out_when_it_is_over(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    lane = RelayLane(Conditions(loss_ratio=1, delay_ms=DELAY_S * 1000), seed="cut")
    stream = RelayStream(far, near, lane, 0.0)
    near.send(b"x")
    _be_late(time.monotonic())
    mended_s = time.monotonic()
    lane.change(Conditions(delay_ms=DELAY_S * 1000))
    stream.read()
    assert stream.due_s is not None
    assert stream.due_s >= mended_s + DELAY_S - CLOCKS_S
