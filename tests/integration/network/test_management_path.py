"""Tries to cut the connection that a machine is managed through: with the policy, and behind its back."""

import os
import socket
import socketserver
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from skerry.network.actions import Action, Actor, Limit, Match, NftablesActuator, Path, Policy, Protocol, State
from skerry.testbed.links.namespace import add_namespace, delete_namespace, inside
from support.actions import some_action

LOCAL, PEER, STRANGER = "10.9.3.1", "10.9.3.9", "10.9.3.8"
PORT = 2222
EVERYTHING = ip_network("10.9.3.0/24")


@pytest.fixture
def peer_network(network):
    """A second network, linked to the test's own."""
    name = f"sk-peer-{os.getpid()}"
    add_namespace(name)
    try:
        for words in (
            f"link add to-peer type veth peer name to-me netns {name}",
            f"addr add {LOCAL}/24 dev to-peer",
            "link set to-peer up",
            f"-n {name} addr add {PEER}/24 dev to-me",
            f"-n {name} addr add {STRANGER}/24 dev to-me",
            f"-n {name} link set to-me up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        yield name
    finally:
        delete_namespace(name)


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while piece := self.request.recv(100):
            self.request.sendall(piece)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@pytest.fixture
def server(peer_network):
    """What the machine is managed through: it sends back what it gets."""
    with Server((LOCAL, PORT), Echo) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        listening.shutdown()
        thread.join()


@contextmanager
def connected(peer_network, address, *, timeout_s):
    with inside(peer_network):
        connection = socket.socket()
        connection.settimeout(timeout_s)
        connection.bind((address, 0))
    with connection:
        connection.connect((LOCAL, PORT))
        yield connection


def is_alive(connection):
    connection.sendall(b"still there?")
    return connection.recv(100) == b"still there?"


PATH = Path(peer=ip_network(PEER), local=ip_network(LOCAL), protocol=Protocol.TCP, local_port=PORT)
POLICY = Policy(scope=(EVERYTHING,), paths=(PATH,))
VICTIM = ip_network(LOCAL)
ATTEMPTS = [
    Match(destination=VICTIM, sources=(ip_network(PEER),)),
    Match(destination=EVERYTHING, sources=(EVERYTHING,)),
    Match(destination=VICTIM, protocol=Protocol.TCP),
    Match(destination=VICTIM, protocol=Protocol.TCP, destination_ports=(PORT,)),
    Match(destination=VICTIM, length_bytes=(0, 65535)),
    Match(destination=EVERYTHING),
]


@pytest.mark.parametrize("match", ATTEMPTS)
@pytest.mark.parametrize("limit", [None, Limit(packets_per_s=1, burst_packets=1)], ids=["drop", "limit"])
def test_the_management_path_can_never_be_cut(peer_network, server, tmp_path, match, limit):
    actuator = NftablesActuator(policy=POLICY, lock_file=tmp_path / "lock")
    with connected(peer_network, PEER, timeout_s=60) as connection:
        # With the policy: it is refused, or the peer is spared.
        with_policy = Actor(actuator, POLICY, tmp_path / "journal", dry_run=False, confirm_s=60)
        outcome = with_policy.act(Action(match=match, limit=limit, ttl_s=60))
        assert outcome.state in (State.REFUSED, State.PENDING)
        assert is_alive(connection)
        # Behind the policy's back: the guard in the kernel lets it pass.
        unchecked = Action(match=match, limit=limit, ttl_s=60)
        actuator.apply(unchecked, timeout_s=60)
        assert is_alive(connection)
        with connected(peer_network, PEER, timeout_s=60) as another:
            assert is_alive(another)
        actuator.withdraw(unchecked.id)
        with_policy.withdraw(outcome.action.id, "the test has ended")
        with_policy.close()
    actuator.close()


def test_a_stranger_is_cut_off_by_what_spares_the_management(peer_network, server, tmp_path):
    actuator = NftablesActuator(policy=POLICY, lock_file=tmp_path / "lock")
    actor = Actor(actuator, POLICY, tmp_path / "journal", dry_run=False, confirm_s=60)
    match = Match(destination=VICTIM, protocol=Protocol.TCP, destination_ports=(PORT,))

    outcome = actor.act(replace(some_action(), match=match))

    assert outcome.state is State.PENDING
    with pytest.raises(TimeoutError), connected(peer_network, STRANGER, timeout_s=1.5):
        pass
    assert actor.hits()[outcome.action.id].packets > 0
    with connected(peer_network, PEER, timeout_s=60) as connection:
        assert is_alive(connection)
    actor.withdraw(outcome.action.id, "the test has ended")
    with connected(peer_network, STRANGER, timeout_s=60) as connection:
        assert is_alive(connection)
    actor.close()
    actuator.close()
