"""``python -m skerry.testbed.links.relay_process``: the process behind a relay of TCP streams."""

from __future__ import annotations

import select
import socket
import sys
import time
from typing import Any

from skerry.errors import PlatformError
from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.conductor import Conductor, run_process
from skerry.testbed.links.priority import take_priority
from skerry.testbed.links.relay_stream import RelayLane, RelayStream

IDLE_S = 1.0
# What is due that soon is not slept for: to sleep and to wake takes as long.
SPIN_S = 50e-6
IGNORED = ("loss_ratio", "loss_burst", "duplicate_ratio", "reorder_ratio", "jitter_reorders")


class RelayProcess:
    """A listening socket, and a connection to the target for each that it accepts.

    Args:
        order: ``listen`` and ``target`` (host and port each), ``conditions``, ``schedules``, ``seed``, ``control``.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self._target = (str(order["target"][0]), int(order["target"][1]))
        try:
            self._listener = socket.create_server((order["listen"][0], order["listen"][1]), backlog=128)
        except OSError as error:
            raise PlatformError(f"the relay cannot listen on {order['listen']}: {error.strerror}") from error
        self._listener.setblocking(False)
        self._forward, self._backward = (
            RelayLane(Conditions.from_dict(order["conditions"][name]), seed=f"{order['seed']}/{name}")
            for name in ("forward", "backward")
        )
        self._connections: list[tuple[RelayStream, RelayStream]] = []
        self.facts = {
            "approximate": True,
            "ignores": list(IGNORED),
            "address": list(self._listener.getsockname()[:2]),
            "scheduling": take_priority(),
        }
        self._conductor = Conductor(order, {"forward": self._forward, "backward": self._backward}, self.facts)

    def run(self) -> None:
        """Relay until a request says stop."""
        while not self._conductor.stopped:
            self._conductor.follow_schedules()
            self._step()

    def close(self) -> None:
        """Close everything."""
        self._conductor.close()
        self._listener.close()
        for connection in self._connections:
            _close(connection)

    def _step(self) -> None:
        streams = [stream for connection in self._connections for stream in connection if not stream.ended]
        readers = {stream.source: stream for stream in streams if stream.wants_to_read}
        writers = {stream.target: stream for stream in streams if stream.blocked and not stream.lane.is_cut}
        moments = [stream.due_s for stream in streams if stream.due_s is not None]
        moments.append(time.monotonic() + IDLE_S)
        if self._conductor.wake_s is not None:
            moments.append(self._conductor.wake_s)
        wait_s = min(moments) - time.monotonic()
        wanted: list[socket.socket | int] = [self._listener, *self._conductor.descriptors, *readers]
        readable, writable, _ = select.select(wanted, list(writers), [], wait_s if wait_s > SPIN_S else 0.0)
        broken: set[int] = set()
        due = [stream for stream in streams if stream.due_s is not None] + [writers[target] for target in writable]
        for stream in due:
            _try(stream, stream.write, broken)
        for found in readable:
            if isinstance(found, int):
                self._conductor.serve(found)
            elif found is self._listener:
                self._accept()
            else:
                _try(readers[found], readers[found].read, broken)
        self._tidy(broken)

    def _accept(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        far = socket.socket(socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET, socket.SOCK_STREAM)
        for connection in (near, far):
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.connect_ex(self._target)
        # The machine itself has answered the caller at once; over the link that would have taken a round trip.
        forward_ms, backward_ms = (lane.conditions.delay_ms for lane in (self._forward, self._backward))
        opens_s = time.monotonic() + (forward_ms + backward_ms) / 1000
        self._connections.append(
            (RelayStream(near, far, self._forward, opens_s), RelayStream(far, near, self._backward, opens_s))
        )

    def _tidy(self, broken: set[int]) -> None:
        for connection in list(self._connections):
            if any(id(stream) in broken for stream in connection) or all(stream.ended for stream in connection):
                self._connections.remove(connection)
                _close(connection)


def _try(stream: RelayStream, act: Any, broken: set[int]) -> None:
    try:
        act()
    except OSError:  # refused, reset: the caller sees the same from the closed socket
        broken.add(id(stream))


def _close(connection: tuple[RelayStream, RelayStream]) -> None:
    for stream in connection:
        stream.source.close()


if __name__ == "__main__":
    sys.exit(run_process(RelayProcess))
