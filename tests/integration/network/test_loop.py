"""The loop against packets that are really sent: a router, a client, a service, and an attacker with forged sources."""

import socket
import socketserver
import threading
import time
from ipaddress import ip_network

import pytest

from skerry.network.actions import Actor, NftablesActuator, Path, Policy, State
from skerry.network.detection import BaselineDetector, BaselineRules, EndRules
from skerry.network.loop import Loop, LoopRules, Step
from skerry.testbed.links.namespace import inside
from support.own_network import rule_set
from support.packet_sensor import PacketSensor
from support.star import flood, star

SERVICE = ("10.9.3.2", 8080)
POLICY = Policy(
    scope=(ip_network("10.9.3.0/24"),),
    paths=(Path(peer=ip_network("10.9.2.0/24"), local=ip_network("10.9.2.1")),),
)
RULES = LoopRules(tend_s=0.1, verify_s=8.0, end=EndRules(quiet_s=1.0))
DEADLINE_S = 60.0


class Answer(socketserver.BaseRequestHandler):
    def handle(self):
        if self.request.recv(100):
            self.request.sendall(b"here")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture
def networks(network):
    with star({"client": 1, "attacker": 4, "service": 3}) as names:
        yield names


@pytest.fixture
def service(networks):
    with inside(networks["service"]):
        server = Server(SERVICE, Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


class Client(threading.Thread):
    """Opens one connection after the other and counts which ones were answered."""

    def __init__(self, network):
        super().__init__()
        self._network = network
        self._ended = threading.Event()
        self.answered = self.lost = 0

    def run(self):
        with inside(self._network):
            while not self._ended.wait(0.02):
                try:
                    with socket.create_connection(SERVICE, timeout=30) as connection:
                        connection.sendall(b"are you there?")
                        answered = connection.recv(100) == b"here"
                except OSError:
                    answered = False
                self.answered += answered
                self.lost += not answered

    def end(self):
        self._ended.set()
        self.join()


@pytest.fixture
def client(networks, service):
    client = Client(networks["client"])
    client.start()
    yield client
    client.end()


@pytest.fixture
def world(networks, client, tmp_path):
    """A loop that knows what is ordinary."""
    actuator = NftablesActuator(policy=POLICY, lock_file=tmp_path / "lock")
    actor = Actor(actuator, POLICY, tmp_path, dry_run=False, confirm_s=20)
    detector = BaselineDetector(BaselineRules(floors={"opening_per_s": 200.0}, warm_up=4, warm_up_factor=100.0))
    sensor = PacketSensor(["to-client", "to-attacker"], SERVICE[0])
    said = []
    loop = Loop(actor, detector, rules=RULES, tell=said.append)

    def run_until(condition):
        ends_at = time.monotonic() + DEADLINE_S
        loop.run(sensor, lambda: condition() or time.monotonic() > ends_at)
        assert condition(), f"not in time; so far: {said}"

    run_until(lambda: sensor.windows >= 10 and client.answered >= 40)
    yield actor, said, run_until
    for entry in actor.journal.in_force():
        actor.withdraw(entry.action.id, "the test has ended")
    actor.close()
    actuator.close()
    sensor.close()


def test_a_flood_is_found_stopped_and_let_go_while_clients_are_served(world, networks, client):
    actor, said, run_until = world
    before = rule_set()
    assert said == []

    with flood(networks["attacker"], SERVICE[0], per_s=1500):
        run_until(lambda: said and said[-1].step in (Step.VERIFIED, Step.WITHDRAWN))
        assert [happening.step for happening in said] == [Step.DETECTED, Step.ACTED, Step.VERIFIED]
        served = client.answered
        run_until(lambda: client.answered >= served + 40)
        (entry,) = actor.journal.in_force()
        assert entry.state is State.CONFIRMED
        assert entry.action.match.length_bytes == (40, 40)
        assert rule_set() != before
    run_until(lambda: said[-1].step is Step.WITHDRAWN)

    assert rule_set() == before
    client.end()
    assert client.lost == 0
    states = [record.state for record in actor.journal.audit(entry.action.id)]
    assert states == [State.PENDING, State.CONFIRMED, State.WITHDRAWN]


def test_a_crowd_of_clients_is_no_attack(world, networks, service):
    _, said, run_until = world
    crowd = [Client(networks["client"]) for _ in range(8)]
    for one in crowd:
        one.start()

    run_until(lambda: all(one.answered >= 25 for one in crowd))

    for one in crowd:
        one.end()
    assert said == []
    assert sum(one.lost for one in crowd) == 0
