import math

import pytest

from skerry.errors import SpecError
from skerry.learn.federated.strategies import STRATEGIES, FedAvgM, Strategy, find_strategy


def test_every_strategy_is_found_by_its_name_and_works_without_settings():
    assert set(STRATEGIES) == {
        "fedavg", "fedavgm", "fedprox", "fedadam", "fedyogi", "fedadagrad", "scaffold", "fednova", "median",
        "trimmed-mean", "krum", "multi-krum", "fedbuff",
    }  # fmt: skip
    for name in STRATEGIES:
        strategy = find_strategy(name)
        assert isinstance(strategy, Strategy)
        assert strategy.name == name
        assert "Source:" in type(strategy).__doc__


def test_settings_are_passed_on():
    assert find_strategy("fedavgm", momentum=0.5, late_exponent=1) == FedAvgM(momentum=0.5, late_exponent=1)


def test_unknown_names_and_settings_are_refused_with_those_that_exist():
    with pytest.raises(SpecError, match="unknown strategy 'fedsgd'; there are fedavg, fedavgm"):
        find_strategy("fedsgd")
    with pytest.raises(SpecError, match="'krum' has no setting 'f'; it has malicious_clients"):
        find_strategy("krum", f=1)
    with pytest.raises(SpecError, match="'median' has no setting 'trim_ratio'; it has none"):
        find_strategy("median", trim_ratio=0.1)


@pytest.mark.parametrize(
    ("name", "setting", "values"),
    [
        ("fedavg", "late_exponent", [-0.1, math.inf, math.nan, "much", None, True]),
        ("fedavgm", "momentum", [-0.1, 1, 1.5]),
        ("fedavgm", "server_learning_rate", [0, -1, math.nan]),
        ("fedprox", "proximal", [-1, math.inf]),
        ("fedadam", "beta_1", [1.0, -0.5]),
        ("fedyogi", "beta_2", [1.0, -0.5]),
        ("fedadagrad", "tau", [0, -1]),
        ("scaffold", "clients", [0, 1.5, True, "3"]),
        ("trimmed-mean", "trim_ratio", [0.5, -0.1, math.nan]),
        ("krum", "malicious_clients", [-1, 1.5, True]),
        ("multi-krum", "selected_clients", [0, -1, 2.0]),
        ("fedbuff", "server_learning_rate", [0, math.inf]),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, setting, values):
    for value in values:
        with pytest.raises(SpecError, match=f"^{name}: {setting} must be"):
            find_strategy(name, **{setting: value})
