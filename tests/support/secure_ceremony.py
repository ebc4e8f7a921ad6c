"""A ceremony with real clients, held in memory; who drops out, and before which phase, is said."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import numpy as np

from skerry.learn.federated.secure.client import SecureClient
from skerry.learn.federated.secure.messages import PHASES, Terms
from skerry.learn.federated.secure.server import SecureServer

SIZE = 257
NAMES = tuple(f"edge-{number:02d}" for number in range(10))


def make_terms(**changes) -> Terms:
    given = {"size": SIZE, "value_range": 1.0, "max_examples": 10_000, "max_clients": 10, "threshold": 6}
    return Terms(**(given | changes))


def make_random(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def make_updates(names=NAMES, *, size=SIZE, seed=3) -> dict[str, tuple[np.ndarray, int]]:
    generator = np.random.default_rng(seed)
    return {name: (generator.normal(0, 0.2, size), int(generator.integers(1, 10_000))) for name in names}


def make_clients(updates, terms, *, seed=7) -> dict[str, SecureClient]:
    return {
        name: SecureClient.begin(
            terms,
            job="demo",
            round=4,
            client=name,
            update=update,
            examples=examples,
            random=make_random(seed * 1000 + number),
        )
        for number, (name, (update, examples)) in enumerate(updates.items())
    }


def make_server(terms, names=NAMES, *, ceremony="first") -> SecureServer:
    return SecureServer(terms, job="demo", round=4, ceremony=ceremony, clients=names)


def hold(server: SecureServer, clients: Mapping[str, SecureClient], gone: Mapping[str, str], *, until=None) -> None:
    """Hold a ceremony up to a phase, or to its end; a client in ``gone`` answers nothing from its phase on."""
    for phase in PHASES:
        if phase == until:
            return
        for name, task in server.tasks().items():
            left = gone.get(name)
            if left is None or PHASES.index(phase) < PHASES.index(left):
                server.receive(clients[name].answer(task))
        server.advance()


def weigh(updates, names) -> tuple[np.ndarray, int]:
    """Return the plain weighted sum and the plain weight."""
    return sum(updates[name][0] * updates[name][1] for name in names), sum(updates[name][1] for name in names)
