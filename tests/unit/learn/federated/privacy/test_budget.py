"""Epsilon, as the accountant counts it."""

import itertools
import math
import re
import sys

import pytest

from skerry.errors import ConfigError
from skerry.learn.federated.privacy.budget import epsilon, local_epsilon


@pytest.fixture(scope="module")
def accountants():
    return pytest.importorskip("opacus.accountants", reason="opacus is not installed: the extra privacy")


@pytest.mark.parametrize("sampling_ratio", [1.0, 0.1])
@pytest.mark.parametrize(("rounds", "noise_multiplier", "delta"), [(1, 1.0, 1e-5), (50, 1.1, 1e-5), (20, 4.0, 1e-3)])
def test_epsilon_is_the_librarys_own(accountants, rounds, noise_multiplier, delta, sampling_ratio):
    own = accountants.RDPAccountant()
    for _ in range(rounds):
        own.step(noise_multiplier=noise_multiplier, sample_rate=sampling_ratio)
    found = epsilon(rounds=rounds, noise_multiplier=noise_multiplier, delta=delta, sampling_ratio=sampling_ratio)
    assert found == own.get_epsilon(delta=delta)


def test_epsilon_is_not_below_what_the_gaussian_mechanism_costs(accountants):
    # Balle and Wang 2018, theorem 8: the exact delta of a Gaussian mechanism of sensitivity 1.
    sigma, delta = 2.0, 1e-5
    found = epsilon(rounds=1, noise_multiplier=sigma, delta=delta)

    def phi(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    exact = phi(0.5 / sigma - found * sigma) - math.exp(found) * phi(-0.5 / sigma - found * sigma)
    assert exact <= delta


@pytest.mark.parametrize("sampling_ratio", [1.0, 0.2])
def test_each_round_costs_more(accountants, sampling_ratio):
    spent = [
        epsilon(rounds=rounds, noise_multiplier=1.5, delta=1e-5, sampling_ratio=sampling_ratio) for rounds in range(5)
    ]
    assert spent[0] == 0
    assert all(before < after for before, after in itertools.pairwise(spent))


def test_asking_fewer_clients_costs_less(accountants):
    some, all_of_them = (
        epsilon(rounds=10, noise_multiplier=1.5, delta=1e-5, sampling_ratio=ratio) for ratio in (0.1, 1.0)
    )
    assert some < all_of_them


def test_no_noise_is_no_privacy(accountants):
    assert epsilon(rounds=1, noise_multiplier=0.0, delta=1e-5) == math.inf


def test_of_local_noise_half_counts(accountants):
    local = local_epsilon(rounds=3, noise_multiplier=4.0, delta=1e-5)
    assert local == epsilon(rounds=3, noise_multiplier=2.0, delta=1e-5)


def test_much_noise_gives_a_bound_without_a_warning(accountants):
    assert 0 < epsilon(rounds=1, noise_multiplier=100.0, delta=1e-5) < 1


@pytest.mark.parametrize(
    "changes",
    [
        {"rounds": -1},
        {"noise_multiplier": -0.1},
        {"noise_multiplier": math.nan},
        {"delta": 0.0},
        {"delta": 1.0},
        {"sampling_ratio": 0.0},
        {"sampling_ratio": 1.1},
    ],
)
def test_parameters_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError, match="sampling ratio over 0 and at most 1"):
        epsilon(**({"rounds": 1, "noise_multiplier": 1.0, "delta": 1e-5} | changes))


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus", None)
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(ConfigError, match=re.escape('pip install "skerry[privacy]"')):
        epsilon(rounds=1, noise_multiplier=1.0, delta=1e-5)
