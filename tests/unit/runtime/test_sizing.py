import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.runtime.sizing import BATCH_BUDGET_S, MAX_DEPTH, Depth, ObjectiveBatches
from skerry.spec import Batch


def test_before_anything_is_known_a_worker_is_given_one_call():
    assert Depth().size(queued=100, oldest_wait_s=1.0, idle=1) == 1


@given(st.floats(0, 10), st.integers(1, 10_000), st.integers(1, 50))
def test_a_worker_is_given_no_more_than_its_share_its_budget_and_the_bound(service_s, queued, idle):
    depth = Depth()
    depth.ended(1, service_s)
    size = depth.size(queued=queued, oldest_wait_s=0.0, idle=idle)
    assert 1 <= size <= MAX_DEPTH
    assert size == 1 or size * service_s <= BATCH_BUDGET_S * 1.000001
    assert (size - 1) * idle < queued


def test_the_seconds_per_call_are_smoothed():
    depth = Depth()
    depth.ended(10, 0.010)
    assert depth.service_s == pytest.approx(0.001)
    depth.ended(1, 0.006)
    assert depth.service_s == pytest.approx(0.002)
    assert depth.describe() == {"service_s": depth.service_s}


def test_with_an_objective_batches_grow_with_the_queue_up_to_their_bound():
    sizing = ObjectiveBatches(Batch(max_size=8, objective="1s"))
    assert [sizing.size(queued=queued, oldest_wait_s=0.0, idle=1) for queued in (1, 5, 8, 100)] == [1, 5, 8, 8]


def test_with_an_objective_the_batch_is_what_the_oldest_can_wait_for():
    sizing = ObjectiveBatches(Batch(max_size=64, objective="100ms"))
    for size in (1, 2, 4, 8) * 10:
        sizing.ended(size, 0.010 * size)
    assert 1 <= sizing.size(queued=64, oldest_wait_s=0.050, idle=1) <= 5
    assert sizing.reason == "objective"
    seen = sizing.describe()
    assert seen["a_s"] == pytest.approx(0.010, rel=0.1)
    assert seen["b_s"] == pytest.approx(0.0, abs=0.005)
    assert (seen["objective_s"], seen["reason"]) == (0.1, "objective")


def test_nothing_is_described_that_is_not_known():
    seen = ObjectiveBatches(Batch()).describe()
    assert (seen["a_s"], seen["b_s"], seen["size"], seen["reason"]) == (None, None, None, None)
