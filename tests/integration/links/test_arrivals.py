"""Stamps of packets that left by an interface: how long each has waited before it was read."""

import os
import socket
import threading
import time

import pytest

from skerry.testbed.links import detect_means
from skerry.testbed.links.arrivals import DROPPED_S, Arrivals
from skerry.testbed.links.namespace import add_namespace, configure_interface, delete_namespace, inside, run_tool
from skerry.testbed.links.tun_device import TunDevice

ADDRESS, PEER = "10.77.9.1", "10.77.9.2"


@pytest.fixture
def device():
    refusals = {found.name: found.refusal for found in detect_means()}
    if refusals["tun"] is not None:
        pytest.skip(f"no links by TUN here: {refusals['tun']}")
    name = f"ska{os.getpid()}"
    add_namespace(name)
    try:
        device = TunDevice(name, "t0")
        configure_interface(name, "t0", address=ADDRESS, peer=PEER)
        yield device
        device.close()
    finally:
        delete_namespace(name)


@pytest.fixture
def arrivals(device):
    assert isinstance(device.arrivals, Arrivals)
    return device.arrivals


@pytest.fixture
def send(device):
    """Send a datagram through the device, which keeps it until it is read."""
    with inside(device.namespace):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        yield lambda text: sender.sendto(text, (PEER, 9))


def wait(seconds):
    """Let so much time pass: it is what the stamps measure."""
    threading.Event().wait(seconds)


def test_a_packet_that_has_waited_came_when_it_was_sent(device, arrivals, send):
    before_s = time.time()
    send(b"the first of two")
    after_s = time.time()
    wait(0.05)
    send(b"the second of two")

    came_s = arrivals.came_s(os.read(device.descriptor, 2048), time.time())
    assert before_s <= came_s <= after_s
    assert arrivals.more
    assert after_s + 0.05 <= arrivals.came_s(os.read(device.descriptor, 2048), time.time()) <= time.time()
    assert not arrivals.more


def test_a_packet_without_a_stamp_comes_when_it_is_read(arrivals):
    now_s = time.time()

    assert arrivals.came_s(b"never sent", now_s) == now_s


def test_packets_that_the_device_dropped_do_not_shift_the_stamps_of_others(device, arrivals, send):
    run_tool(["ip", "-n", device.namespace, "link", "set", "t0", "txqueuelen", "3"])
    for number in range(9):
        send(b"packet %d" % number)
    for _ in range(3):
        os.read(device.descriptor, 2048)
    sent_s = time.time()
    send(b"a later one")

    assert device.dropped() == 6
    assert sent_s <= arrivals.came_s(os.read(device.descriptor, 2048), time.time()) <= time.time()


def test_stamps_of_dropped_packets_are_forgotten_when_nothing_is_left_to_read(device, arrivals, send):
    run_tool(["ip", "-n", device.namespace, "link", "set", "t0", "txqueuelen", "3"])
    for _ in range(9):
        send(b"all the same")
    for _ in range(3):
        arrivals.came_s(os.read(device.descriptor, 2048), time.time())
    assert arrivals.more
    wait(2 * DROPPED_S)
    arrivals.forget_dropped()
    sent_s = time.time()
    send(b"all the same")

    assert sent_s <= arrivals.came_s(os.read(device.descriptor, 2048), time.time())


def test_more_packets_than_there_is_memory_for_are_stamped_in_turn(device, arrivals, send):
    for number in range(9000):
        before_s = time.time()
        send(b"%d" % number)
        assert before_s <= arrivals.came_s(os.read(device.descriptor, 2048), time.time()) <= time.time()
