"""Ten clients behind sockets hold a secure aggregation; every message travels as bytes, every state lies in a file."""

import os
import socket
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

from skerry.errors import SkerryError, UnavailableError
from skerry.learn.federated.secure.client import SecureClient
from skerry.learn.federated.secure.folder import answer, hold
from skerry.learn.federated.secure.messages import PHASES, read_reply, read_task, read_terms, write
from skerry.payload.codec import decode_msgpack, encode_msgpack
from support.secure_ceremony import NAMES, make_server, make_terms, make_updates, weigh

DEADLINE_S = 60.0
SIZE = 4_001


def send(connection: socket.socket, body: bytes) -> None:
    connection.sendall(struct.pack("<I", len(body)) + body)


def receive(connection: socket.socket) -> bytes | None:
    head = read_exactly(connection, 4)
    return None if head is None else read_exactly(connection, struct.unpack("<I", head)[0])


def read_exactly(connection: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


class Site:
    """A client at the other end of a socket; it hangs up when the phase comes from which on it is gone."""

    def __init__(self, folder, name, terms: bytes, update, examples, gone):
        self.connection, far = socket.socketpair()
        self.connection.settimeout(DEADLINE_S)
        self.failures = []
        self.thread = threading.Thread(
            target=self._serve, args=(far, folder, name, terms, update, examples, gone), daemon=True
        )
        self.thread.start()

    def ask(self, body: bytes) -> bytes | None:
        """Return what came back; none when the client is gone."""
        try:
            send(self.connection, body)
            return receive(self.connection)
        except (BrokenPipeError, ConnectionResetError):
            return None

    def close(self) -> None:
        self.connection.close()
        self.thread.join(DEADLINE_S)

    def _serve(self, far, folder, name, terms, update, examples, gone):
        with far:
            try:
                client = SecureClient.begin(
                    read_terms(decode_msgpack(terms)),
                    job="demo",
                    round=4,
                    client=name,
                    update=update,
                    examples=examples,
                )
                path = folder / name
                hold(path, client)
                while (body := receive(far)) is not None:
                    task = read_task(body)
                    if task.phase == gone:
                        return
                    send(far, write(answer(path, task)))
            except SkerryError as error:
                self.failures.append(error)


@pytest.fixture
def sites(tmp_path):
    made = {}

    def make(updates, terms, gone):
        body = encode_msgpack(terms.model_dump())  # as `FitTask.secure` carries them
        for name, (update, examples) in updates.items():
            made[name] = Site(tmp_path, name, body, update, examples, gone.get(name))
        return made

    yield make
    for site in made.values():
        site.close()
    assert [site.failures for site in made.values()] == [[] for _ in made]
    assert not any(site.thread.is_alive() for site in made.values())


def lead(server, sites) -> None:
    for _ in PHASES:
        for name, task in server.tasks().items():
            body = sites[name].ask(write(task))
            if body is not None:
                server.receive(read_reply(body))
        server.advance()


@pytest.mark.parametrize("phase", [None, *PHASES])
def test_ten_clients_of_whom_two_drop_out_give_the_plain_sum(phase, sites):
    terms, updates = make_terms(size=SIZE), make_updates(size=SIZE)
    gone = {} if phase is None else {"edge-00": phase, "edge-08": phase}
    server = make_server(terms)
    lead(server, sites(updates, terms, gone))
    total = server.total()
    assert len(total.clients) == (10 if phase in (None, "unmask") else 8)
    plain, weight = weigh(updates, total.clients)
    assert total.examples == weight
    assert np.abs(total.weighted_sum - plain).max() < 1e-6


def test_two_clients_that_leave_at_different_phases_give_the_plain_sum_of_the_others(sites):
    terms, updates = make_terms(size=SIZE), make_updates(size=SIZE)
    server = make_server(terms)
    lead(server, sites(updates, terms, {"edge-03": "shares", "edge-04": "masked"}))
    plain, _ = weigh(updates, [name for name in NAMES if name not in ("edge-03", "edge-04")])
    assert np.abs(server.total().weighted_sum - plain).max() < 1e-6


def test_a_coordinator_that_died_goes_on_from_the_replies_on_record(sites):
    terms, updates = make_terms(size=SIZE), make_updates(size=SIZE)
    there = sites(updates, terms, {"edge-03": "masked"})
    record = []
    first = make_server(terms)
    for _ in ("keys", "shares", "masked"):
        replies = [body for name, task in first.tasks().items() if (body := there[name].ask(write(task)))]
        for body in replies:
            first.receive(read_reply(body))
        record.append(replies)
        first.advance()

    second = make_server(terms)
    for replies in record:
        for body in replies:
            second.receive(read_reply(body))
        second.advance()
    assert second.tasks() == first.tasks()
    for name, task in second.tasks().items():
        # Some had answered before the coordinator died: they give the same reply again.
        assert there[name].ask(write(task)) == there[name].ask(write(task))
        second.receive(read_reply(there[name].ask(write(task))))
    second.advance()
    plain, _ = weigh(updates, second.total().clients)
    assert np.abs(second.total().weighted_sum - plain).max() < 1e-6


def test_below_the_threshold_nothing_is_unmasked(sites):
    terms, updates = make_terms(size=SIZE), make_updates(size=SIZE)
    server = make_server(terms)
    with pytest.raises(UnavailableError, match="5 clients of 10 have answered phase 'masked', and 6 are needed"):
        lead(server, sites(updates, terms, dict.fromkeys(NAMES[5:], "masked")))


APP = """
from pathlib import Path

import numpy as np

import skerry
from skerry.learn.federated.secure.client import SecureClient
from skerry.learn.federated.secure.folder import answer, hold
from skerry.learn.federated.secure.messages import PHASES, SecureReply, SecureTask, Terms
from skerry.learn.federated.secure.server import SecureServer

FOLDER = Path(__file__).parent
TERMS = Terms(size=3, value_range=10.0, max_examples=100, max_clients=3, threshold=2)
app = skerry.App("secure-clients")


@app.function
def fit(client: str, update: list[float], examples: int) -> None:
    held = SecureClient.begin(TERMS, job="demo", round=1, client=client, update=np.array(update), examples=examples)
    hold(FOLDER / f"{client}.secure", held)


@app.function
def secure(task: SecureTask) -> SecureReply:
    return answer(FOLDER / f"{task.client}.secure", task)


if __name__ == "__main__":
    server = SecureServer(TERMS, job="demo", round=1, ceremony="demo-1-1", clients=["a", "b", "c"])
    with app.run():
        fit.remote("a", [1.0, 2.0, 3.0], 1)
        fit.remote("b", [0.0, -1.0, 0.5], 2)
        fit.remote("c", [7.0, 7.0, 7.0], 50)
        for phase in PHASES:
            jobs = [secure.spawn(task) for name, task in server.tasks().items() if (name, phase) != ("c", "masked")]
            for job in jobs:
                server.receive(job.result(60))
            server.advance()
    total = server.total()
    print(total.clients, total.examples, np.round(total.weighted_sum, 6).tolist())
"""


def test_the_phases_run_as_jobs_of_a_real_engine(tmp_path):
    (tmp_path / "clients.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, "clients.py"],
        cwd=tmp_path,
        env=os.environ | {"SKERRY_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "('a', 'b') 3 [1.0, 0.0, 4.0]"
