"""What secure aggregation and differential privacy cost: bytes, and milliseconds of processor time.

``python -m benchmarks.federated.privacy`` prints the tables of docs/concepts/federated-privacy.md.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.measuring import facts
from skerry.learn.federated.privacy.central import PrivateMean
from skerry.learn.federated.privacy.noise import protect
from skerry.learn.federated.secure.client import SecureClient
from skerry.learn.federated.secure.messages import PHASES, Terms, read_reply, read_task, write
from skerry.learn.federated.secure.server import SecureServer
from skerry.learn.federated.strategies.base import Received, Replies
from skerry.learn.federated.strategies.fedavg import FedAvg
from skerry.learn.federated.wire.messages import Privacy

SIZE = 317_066
NAMES = tuple(f"client-{number}" for number in range(10))
REPEATS = 7
GENERATOR = np.random.default_rng(1)
UPDATE = GENERATOR.normal(0, 0.01, SIZE).astype(np.float32)

Costs = dict[str, tuple[float, float, int, int]]
"""By phase: milliseconds of one client, of the coordinator; bytes to and from one client."""


def measure_ms(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work in milliseconds."""
    began_s = time.process_time()
    work()
    return (time.process_time() - began_s) * 1e3


def hold(bits: int, dropped: tuple[str, ...]) -> Costs:
    """Hold one ceremony; who drops out has sent its shares and no update."""
    terms = Terms(size=SIZE, value_range=1.0, max_examples=100, max_clients=10, threshold=6, bits=bits)
    clients = {
        name: SecureClient.begin(terms, job="cost", round=1, client=name, update=UPDATE, examples=50) for name in NAMES
    }
    server = SecureServer(terms, job="cost", round=1, ceremony="1", clients=NAMES)
    costs: Costs = {}
    for phase in PHASES:
        client_ms, down, up = [], 0, 0
        tasks = {name: write(task) for name, task in server.tasks().items()}
        bodies = []
        for name, task in tasks.items():
            if phase == "masked" and name in dropped:
                continue
            began_s = time.process_time()
            bodies.append(write(clients[name].answer(read_task(task))))
            client_ms.append((time.process_time() - began_s) * 1e3)
            down, up = max(down, len(task)), max(up, len(bodies[-1]))

        def lead(replies: list[bytes] = bodies) -> None:
            for body in replies:
                server.receive(read_reply(body))
            server.advance()

        costs[phase] = (statistics.median(client_ms), measure_ms(lead), down, up)
    return costs


class Ten(Replies):
    """The same reply from ten clients."""

    def __len__(self) -> int:
        return len(NAMES)

    def __iter__(self) -> Iterator[Received]:
        return (Received(client=name, delta=UPDATE, examples=1) for name in NAMES)


def main() -> None:
    """Print the costs."""
    print(facts(["numpy", "cryptography"]))
    for bits in (64, 32):
        for dropped in ((), NAMES[:2]):
            runs = [hold(bits, dropped) for _ in range(REPEATS)]
            print(f"\n{bits} bits, {len(dropped)} of 10 drop out")
            for phase in PHASES:
                client, server = (min(run[phase][at] for run in runs) for at in (0, 1))
                _, _, down, up = runs[0][phase]
                print(
                    f"  {phase:8} client {client:6.1f} ms, coordinator {server:6.1f} ms, to {down:7}, from {up:8} bytes"
                )
    private = PrivateMean(strategy=FedAvg(), clip_norm=1.0, noise_multiplier=1.0, clients_per_round=10)
    state = private.start(SIZE)
    works: dict[str, Callable[[], object]] = {
        "local: clip and noise, one client": lambda: protect(UPDATE, Privacy(clip_norm=1.0, noise_multiplier=1.0)),
        "fedavg of ten": lambda: FedAvg().aggregate(UPDATE, {}, Ten()),
        "private mean of ten": lambda: private.aggregate(UPDATE, state, Ten()),
    }
    print()
    for name, work in works.items():
        print(f"{name}: {min(measure_ms(work) for _ in range(REPEATS)):.1f} ms")


if __name__ == "__main__":
    main()
