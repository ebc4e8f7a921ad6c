"""An engine with the function that reacts, and where its events and states are kept: embedded, or on servers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.event_stages import processor_s
from benchmarks.state.places import backends
from skerry.store.state import State, store_at

BACKLOGS = ("sqlite", "nats")
STATE_OF = {"sqlite": "sqlite", "nats": "redis"}
WAIT_S = 300.0
_LOOK_S = 0.01

# The module is what a user deploys. Each event is one transaction, and its effects happen once whatever comes twice.
APP = """
import skerry

app = skerry.App("reacting")
effects = app.state("effects")

@app.on(skerry.Event(type="measured"){batch})
def react({parameter}) -> None:
    for event in {events}:
        with effects.batch(once=f"{{event.source}}/{{event.id}}") as batch:
            batch.increment(f"count{{event.source}}")
            batch.increment(f"numbers{{event.source}}", int(event.id))

@app.on(filter=skerry.Filter.prefix(type="network."))
def report(event: skerry.Event) -> None:
    with effects.batch(once=f"{{event.source}}/{{event.id}}") as batch:
        batch.increment("told")
        batch.increment(f"told/{{event.subject}}")
"""


class Place:
    """An engine and its function.

    Args:
        folder: Where the app is.
        home: The engine's folder.
        process: The engine.
        port: Its port.
        servers: Processes of the servers that keep its events and states.
        state_url: Where its states are.
    """

    def __init__(
        self,
        folder: Path,
        home: Path,
        process: subprocess.Popen[bytes],
        port: int,
        servers: dict[str, int],
        state_url: str,
    ) -> None:
        self.folder, self.home, self.port = folder, home, port
        self.environment = {**os.environ, "SKERRY_HOME": str(home)}
        self._engine, self._servers = process.pid, servers
        self.effects = State(lambda: store_at(state_url), "reacting/effects")

    def number(self, key: str) -> int:
        """Return a number of the function's state."""
        return int(self.effects.get(key) or 0)

    def wait(self, reached: Callable[[], bool], within_s: float = WAIT_S) -> bool:
        """Return whether something came true in time."""
        until = time.monotonic() + within_s
        while not (found := reached()) and time.monotonic() < until:
            time.sleep(_LOOK_S)
        return found

    def spent_s(self) -> dict[str, float]:
        """Return the processor seconds of the engine, its workers, and the servers."""
        servers = {name: processor_s(pid)["engine"] for name, pid in self._servers.items()}
        return {**processor_s(self._engine), **servers}


@contextmanager
def place(folder: Path, backlog: str, together: int) -> Iterator[Place]:
    """Provide an engine whose events are kept by a backlog.

    Args:
        folder: Where all of it is.
        backlog: One of `BACKLOGS`.
        together: Events in one call of the function; 1 gives them singly.
    """
    folder.mkdir()
    batch, parameter, events = "", "event: skerry.Event", "(event,)"
    if together > 1:
        batch, parameter, events = f", batch={together}", "events: list[skerry.Event]", "events"
    (folder / "reacting.py").write_text(APP.format(batch=batch, parameter=parameter, events=events))
    if backlog == "sqlite":
        with _engine(folder, {}, {}) as found:
            yield found
        return
    with backends(None) as states, _nats(folder) as (address, server):
        if "redis" not in states:
            raise SystemExit("there is no redis-server or valkey-server: apt-get install redis-server")
        variables = {"SKERRY_EVENTS": address, "SKERRY_STATE": states["redis"]}
        with _engine(folder, variables, {"nats": server, "redis": _who_has(states["redis"])}) as found:
            yield found


@contextmanager
def _engine(folder: Path, variables: dict[str, str], servers: dict[str, int]) -> Iterator[Place]:
    home = folder / "home"
    command = [sys.executable, "-m", "skerry.engine", "--home", str(home), "--port", "0"]
    environment = {**os.environ, **variables}
    app = str(folder / "reacting.py")
    process = subprocess.Popen([*command, "--serve", app], stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        if not said.startswith("skerry engine: http://"):
            raise RuntimeError(f"the engine did not start: {said}")
        state_url = variables.get("SKERRY_STATE", str(home / "state"))
        yield Place(folder, home, process, int(said.strip().rpartition(":")[2]), servers, state_url)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _nats(folder: Path) -> Iterator[tuple[str, int]]:
    program = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise SystemExit("there is no nats-server: apt-get install nats-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder / "nats")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + WAIT_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the NATS server did not start")
            time.sleep(_LOOK_S)
        yield f"nats://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as found:
            return found.recv(4) == b"INFO"
    except OSError:
        return False


def _who_has(url: str) -> int:
    """Return the process id of the server behind a Unix socket."""
    import redis

    with redis.Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])
