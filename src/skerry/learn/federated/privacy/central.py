"""Central differential privacy: a strategy that sees only a mean with bounded parts and noise."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from skerry.errors import ConfigError, DataError
from skerry.learn.federated.privacy.noise import clip, draw_noise
from skerry.learn.federated.strategies.base import Instructions, Received, Replies, State, Strategy
from skerry.learn.federated.wire.parameters import Vector

_KEY, _ROUND = "private.key", "private.round"


class _One(Replies):
    """The private mean in the place of all replies: what the strategy inside makes of it costs no more privacy."""

    def __init__(self, reply: Received) -> None:
        self._reply = reply

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Received]:
        yield self._reply


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateMean(Strategy):
    """Gives a strategy the clients' mean with central differential privacy, as if it were the only reply.

    Each delta is clipped to ``clip_norm``, all weigh the same, the sum is divided by ``clients_per_round`` whoever
    came, and Gaussian noise is added once per round. So one client, there or not, moves the sum by at most
    ``clip_norm``, which the noise is measured by. Weights by examples would break that bound: a client's part of the
    mean would depend on its own number of rows and on everybody else's, and the divisor would be a secret too.

    Suits each strategy that works on the mean (FedAvg, FedAvgM, FedAdam, FedYogi, FedAdagrad, FedProx). One that
    compares clients would see one client only.

    The noise follows from a secret key, the round and the sum. The key is drawn when the run starts and kept in the
    strategy's state, so that a run that was killed ends in the same bits. Who reads that state can take the noise off;
    but it lies in the folder of a coordinator that has had the clients' updates themselves.

    Args:
        strategy: What makes the next model of the private mean.
        clip_norm: Largest L2 norm of one client's delta.
        noise_multiplier: Standard deviation of the sum's noise, in units of ``clip_norm``.
        clients_per_round: How many clients are expected; a fixed number, never the number that came.
        key: 32 bytes that the noise follows from, in tests only; none draws it.

    Raises:
        ConfigError: a number is out of range.

    Source: McMahan, Ramage, Talwar, Zhang: Learning Differentially Private Recurrent Language Models, ICLR 2018,
    algorithm 1, with the estimator of a fixed denominator and equal weights.
    """

    name: ClassVar[str] = "private-mean"

    strategy: Strategy
    clip_norm: float
    noise_multiplier: float
    clients_per_round: int
    key: bytes | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.clip_norm) and self.clip_norm > 0):
            raise ConfigError(f"private mean: clip_norm is {self.clip_norm}; it is to be over 0")
        if not (np.isfinite(self.noise_multiplier) and self.noise_multiplier >= 0):
            raise ConfigError(f"private mean: noise_multiplier is {self.noise_multiplier}; it is to be at least 0")
        if self.clients_per_round < 1:
            raise ConfigError(f"private mean: clients_per_round is {self.clients_per_round}; it is to be at least 1")
        if self.key is not None and len(self.key) != 32:
            raise ConfigError(f"private mean: the key has {len(self.key)} bytes; it is to have 32")

    def start(self, size: int) -> State:
        """Return the state of the strategy inside, and beside it the key of the noise.

        Raises:
            ConfigError: the strategy needs something of single clients that no noise protects.
        """
        inner = self.strategy.start(size)
        if self.strategy.instruct(inner).control is not None:
            raise ConfigError(
                f"private mean: {self.strategy.name} exchanges control variates with each client, which no noise "
                "protects: take a strategy that works on the mean alone, such as fedavg"
            )
        key = np.frombuffer(self.key or secrets.token_bytes(32), np.uint8)
        return {**inner, _KEY: key, _ROUND: np.array(0, np.int64)}

    def instruct(self, state: State) -> Instructions:
        """Return what the strategy inside asks of clients."""
        return self.strategy.instruct(_inside(state))

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return what the strategy inside makes of the private mean.

        Raises:
            DataError: there is no reply, or the state is not of this strategy.
        """
        total: NDArray[np.float64] | None = None
        for reply in replies:
            part = clip(reply.delta, self.clip_norm)
            total = part if total is None else np.add(total, part, out=total)
        if total is None:
            raise DataError("private mean: the round has no reply")
        return self.aggregate_sum(model, state, total)

    def aggregate_sum(self, model: Vector, state: State, clipped_sum: Vector) -> tuple[Vector, State]:
        """Return what the strategy inside makes of a sum that needs no clipping: the one of secure aggregation.

        Args:
            model: The global model.
            state: What `start` or the round before returned.
            clipped_sum: Of the clients' deltas with weight 1, each clipped at its site to ``clip_norm``. Nobody can
                check that here: the bound holds for clients that keep to it.

        Raises:
            DataError: the state is not of this strategy.
        """
        if _KEY not in state or _ROUND not in state:
            raise DataError("private mean: the state holds no key of the noise; it was written by another strategy")
        done = int(state[_ROUND]) + 1
        total = clipped_sum.astype(np.float64)
        key = _derive(state[_KEY].tobytes(), done, total)
        total += draw_noise(len(total), self.noise_multiplier * self.clip_norm, key=key)
        total /= self.clients_per_round
        mean = Received(client=self.name, delta=total, examples=1, steps=1)
        after, inner = self.strategy.aggregate(model, _inside(state), _One(mean))
        return after, {**inner, _KEY: state[_KEY], _ROUND: np.array(done, np.int64)}


def _inside(state: State) -> State:
    return {name: array for name, array in state.items() if name not in (_KEY, _ROUND)}


def _derive(key: bytes, done: int, total: NDArray[np.float64]) -> bytes:
    """Return this round's key: another one for another sum, so that no two sums ever get the same noise."""
    message = done.to_bytes(8, "little") + total.astype("<f8", copy=False).tobytes()
    return hmac.new(key, message, hashlib.sha256).digest()
