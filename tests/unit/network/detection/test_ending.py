import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ConfigError
from skerry.network.detection import EndRules, Reading, has_ended

RULES = EndRules(quiet_s=2.0)


def readings(rates, *, step_s=0.25):
    packets, made = 0, [Reading(at_s=0.0, packets=0)]
    for number, per_s in enumerate(rates, 1):
        packets += int(per_s * step_s)
        made.append(Reading(at_s=number * step_s, packets=packets))
    return made


def test_an_attack_that_goes_on_has_not_ended():
    assert not has_ended(readings([2000] * 100), RULES)


def test_it_has_ended_when_its_rule_has_been_quiet_for_long_enough():
    assert not has_ended(readings([2000] * 20 + [0] * 7), RULES)
    assert has_ended(readings([2000] * 20 + [0] * 8), RULES)


def test_a_few_stray_packets_do_not_keep_a_rule():
    assert has_ended(readings([2000] * 20 + [16] * 8), RULES)


def test_an_attack_that_came_back_has_to_be_quiet_for_longer():
    quiet = readings([2000] * 20 + [0] * 8)

    assert not has_ended(quiet, RULES, relapses=1)
    assert RULES.wait_s(50) == RULES.longest_quiet_s


def test_one_reading_says_nothing():
    assert not has_ended([], RULES)
    assert not has_ended(readings([]), RULES)


@given(st.lists(st.integers(1000, 5000), min_size=8, max_size=40), st.integers(0, 7))
def test_pauses_that_are_shorter_end_nothing(rates, pause):
    assert not has_ended(readings([*rates, *[0] * pause]), RULES)


@pytest.mark.parametrize("wrong", [{"quiet_s": 0}, {"quiet_ratio": 1.0}, {"relapse_factor": 0.5}])
def test_rules_without_a_meaning_are_refused(wrong):
    with pytest.raises(ConfigError):
        EndRules(**wrong)


def test_a_slow_attack_has_to_be_silent_for_longer_and_altogether():
    sparse = [Reading(at_s=float(second), packets=400 + second // 10) for second in range(100)]
    silent = [Reading(at_s=float(second), packets=min(second, 80)) for second in range(100)]
    rules = EndRules()

    assert not has_ended(sparse, rules, attack_per_s=40.0)
    assert has_ended(silent, rules, attack_per_s=40.0)
    assert not has_ended(silent[:90], rules, attack_per_s=40.0)
    assert has_ended(silent[:90], rules, attack_per_s=4000.0)
