import pytest

from skerry.testbed.links.lateness import Lateness


def test_quantiles_are_those_of_what_was_counted():
    lateness = Lateness()
    for number in range(1000):
        lateness.add(number * 1e-6)

    assert lateness.quantile_ms(0.5) == pytest.approx(0.5, abs=0.02)
    assert lateness.quantile_ms(0.99) == pytest.approx(0.99, abs=0.02)
    assert lateness.to_dict()["max_ms"] == pytest.approx(0.999)


def test_packets_that_leave_early_and_very_late_are_counted():
    lateness = Lateness()
    lateness.add(-1e-5)
    lateness.add(1.5)

    assert lateness.to_dict()["packets"] == 2
    assert lateness.quantile_ms(1.0) == 1500


def test_nothing_is_never_late():
    assert Lateness().to_dict() == {"packets": 0, "mean_ms": 0.0, "p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}
