import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.testbed.links import BurstLoss, Conditions, LinkConditions

ratios = st.floats(0, 1)
bursts = st.builds(
    BurstLoss,
    enter_ratio=st.floats(0.001, 1),
    leave_ratio=st.floats(0.001, 1),
    bad_loss_ratio=ratios,
    good_loss_ratio=ratios,
)
any_conditions = st.builds(
    Conditions,
    delay_ms=st.floats(0, 1000),
    jitter_ms=st.floats(0, 100),
    jitter_distribution=st.sampled_from(["uniform", "normal", "pareto", "paretonormal"]),
    jitter_reorders=st.booleans(),
    loss_burst=st.none() | bursts,
    rate_mbps=st.none() | st.floats(0.01, 1e5),
    queue_bytes=st.none() | st.integers(1, 10**9),
    duplicate_ratio=ratios,
    reorder_ratio=ratios,
)


@settings(deadline=None, max_examples=60)
@given(any_conditions)
def test_conditions_survive_being_plain_data(conditions):
    assert Conditions.from_dict(json.loads(json.dumps(conditions.to_dict()))) == conditions


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"delay_ms": -1}, "delay_ms"),
        ({"delay_ms": "5"}, "delay_ms"),
        ({"delay_ms": True}, "delay_ms"),
        ({"jitter_ms": float("nan")}, "jitter_ms"),
        ({"loss_ratio": 1.5}, "loss_ratio"),
        ({"loss_ratio": 24}, "loss_ratio"),
        ({"jitter_correlation_ratio": 1.0}, "never change"),
        ({"jitter_distribution": "gaussian"}, "uniform, normal"),
        ({"rate_mbps": 0}, "rate_mbps"),
        ({"queue_bytes": 1.5}, "queue_bytes"),
        ({"jitter_reorders": 1}, "jitter_reorders"),
        ({"delay": 5}, "'delay'"),
        ({"loss_burst": {"enter_ratio": 0.1}}, "leave_ratio is missing"),
        ({"loss_burst": {"enter_ratio": 0.1, "leave_ratio": 0.5, "length": 3}}, "length"),
        ({"loss_burst": {"enter_ratio": 0, "leave_ratio": 0.5}}, "enter_ratio"),
        ({"loss_burst": 3}, "must be a table"),
    ],
)
def test_what_is_wrong_is_named(values, said):
    with pytest.raises(SpecError, match=said):
        Conditions.from_dict(values)


def test_two_kinds_of_loss_do_not_go_together():
    with pytest.raises(SpecError, match="keep one"):
        Conditions(loss_ratio=0.1, loss_burst=BurstLoss(enter_ratio=0.1, leave_ratio=0.5))


def test_one_kind_of_loss_takes_the_place_of_the_other():
    burst = BurstLoss(enter_ratio=0.1, leave_ratio=0.3)
    bursty = Conditions(loss_ratio=0.2).changed(loss_burst=burst)

    assert bursty.loss == pytest.approx(0.25)
    assert bursty.changed(loss_ratio=0.5).loss == 0.5


def test_a_queue_holds_a_tenth_of_a_second_unless_it_is_set():
    assert Conditions(rate_mbps=80).queue_limit_bytes == 1_000_000
    assert Conditions(rate_mbps=0.1).queue_limit_bytes == 64 * 1024
    assert Conditions(rate_mbps=80, queue_bytes=3000).queue_limit_bytes == 3000


def test_directions_survive_being_plain_data():
    both = LinkConditions(forward=Conditions(delay_ms=1), backward=Conditions(delay_ms=2))

    assert LinkConditions.from_dict(both.to_dict()) == both
