from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from skerry.testbed.experiments.schedule import plan_trials, spread_repeats

arm_names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


@given(arm_names, st.integers(1, 12), st.integers(0, 99))
def test_every_repeat_has_every_arm_once_and_repeats_follow_each_other(arms, repeats, seed):
    slots = plan_trials(arms, repeats, seed=seed)
    assert [slot.repeat for slot in slots] == sorted(slot.repeat for slot in slots)
    assert Counter(slot.key for slot in slots) == {(arm, repeat): 1 for arm in arms for repeat in range(repeats)}


@given(arm_names, st.integers(1, 8), st.integers(1, 8), st.integers(0, 99))
def test_more_repeats_begin_with_the_same_trials(arms, repeats, more, seed):
    few = plan_trials(arms, repeats, seed=seed)
    assert plan_trials(arms, repeats + more, seed=seed)[: len(few)] == few


@given(arm_names, st.integers(1, 8), st.integers(0, 99))
def test_arms_of_a_repeat_share_their_seed_and_repeats_do_not(arms, repeats, seed):
    seeds = {}
    for slot in plan_trials(arms, repeats, seed=seed):
        assert seeds.setdefault(slot.repeat, slot.seed) == slot.seed
    assert len(set(seeds.values())) == repeats


def test_the_order_of_the_arms_is_drawn_anew():
    slots = plan_trials(["a", "b", "c", "d"], 20, seed=1)
    orders = {tuple(slot.arm for slot in slots if slot.repeat == repeat) for repeat in range(20)}
    assert len(orders) > 10


@given(st.integers(1, 40), st.integers(1, 40))
def test_fewer_repeats_are_spread_over_the_whole_run(repeats, count):
    found = spread_repeats(repeats, count)
    assert len(found) == len(set(found)) == min(repeats, count)
    assert found[0] == 0
    assert found[-1] < repeats
    gaps = {after - before for before, after in pairwise(found)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_an_arm_with_fewer_repeats_pairs_with_the_others():
    slots = plan_trials(["ours", "slow"], 20, seed=1, most={"slow": 5})
    assert [slot.repeat for slot in slots if slot.arm == "slow"] == [0, 4, 8, 12, 16]
    assert sum(slot.arm == "ours" for slot in slots) == 20
