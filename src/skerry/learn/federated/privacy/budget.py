"""How much privacy a run has cost: epsilon, as Opacus' accountant counts it."""

from __future__ import annotations

import importlib.util
import math
import warnings
from typing import Any

from skerry.errors import ConfigError

_MISSING = 'to count epsilon takes opacus: pip install "skerry[privacy]"'


def epsilon(*, rounds: int, noise_multiplier: float, delta: float, sampling_ratio: float = 1.0) -> float:
    """Return epsilon after some rounds of central differential privacy, per client (added or taken away as a whole).

    Args:
        rounds: That have ended, from 0.
        noise_multiplier: As in `PrivateMean`; 0 gives infinity.
        delta: Chance that the bound does not hold; well below one by the number of all clients.
        sampling_ratio: Chance of each client to be asked in a round, over 0 and at most 1. Below 1 only where every
            client is drawn by itself with that chance (Poisson sampling), in secret and whatever it did before. A fixed
            number of clients, or the fastest, is no such draw: leave it at 1, which holds for every selection.

    Raises:
        ConfigError: a parameter is out of range, or Opacus is not installed.

    Example:
        ::

            epsilon(rounds=50, noise_multiplier=1.1, delta=1e-5)

    Source: Mironov, Talwar, Zhang: Rényi Differential Privacy of the Sampled Gaussian Mechanism, 2019; Balle et al.:
    Hypothesis Testing Interpretations and Rényi Differential Privacy, AISTATS 2020, theorem 21 (conversion).
    """
    if rounds < 0 or not noise_multiplier >= 0 or not 0 < delta < 1 or not 0 < sampling_ratio <= 1:
        raise ConfigError(
            f"epsilon of rounds={rounds}, noise_multiplier={noise_multiplier}, delta={delta}, "
            f"sampling_ratio={sampling_ratio}: rounds and noise are to be at least 0, delta between 0 and 1, and the "
            "sampling ratio over 0 and at most 1"
        )
    accountant = _make_accountant()
    if rounds == 0:
        return 0.0
    if noise_multiplier == 0:
        return math.inf
    accountant.history = [(noise_multiplier, sampling_ratio, rounds)]
    with warnings.catch_warnings():
        # It says that another order might give less: what it returns is an upper bound all the same.
        warnings.filterwarnings("ignore", message="Optimal order", category=UserWarning)
        return float(accountant.get_epsilon(delta=delta))


def local_epsilon(*, rounds: int, noise_multiplier: float, delta: float) -> float:
    """Return epsilon of one client that took part in some rounds with local differential privacy.

    The noise is in units of ``clip_norm``, but two updates of that norm can be twice as far apart, so that only half of
    it counts: the coordinator knows who sent an update, and is to learn little about what is in it.

    Args:
        rounds: In which this client has sent an update.
        noise_multiplier: As in `Privacy`.
        delta: Chance that the bound does not hold.

    Raises:
        ConfigError: as :func:`epsilon`.
    """
    return epsilon(rounds=rounds, noise_multiplier=noise_multiplier / 2, delta=delta)


def require_accountant() -> None:
    """Refuse to begin what will have to count epsilon where nobody can; PyTorch is not imported for that.

    Raises:
        ConfigError: the extra is missing.
    """
    if importlib.util.find_spec("opacus") is None:
        raise ConfigError(_MISSING)


def _make_accountant() -> Any:
    try:
        from opacus.accountants import RDPAccountant
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    return RDPAccountant()
