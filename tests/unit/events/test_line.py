"""The order of deliveries under every interleaving of answers, failures and time."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from skerry.events.delivery import Delivery
from skerry.events.line import Line

KEYS = st.sampled_from([None, "a", "b", "c"])


def delivery(position, key=None, due_at=0.0, attempts=0):
    return Delivery(position, position, key, b"{}", 0.0, attempts, due_at)


@given(st.integers(0, 2**32), st.lists(KEYS, max_size=40), st.integers(1, 8))
def test_nothing_is_lost_or_given_twice_at_a_time_and_each_key_keeps_its_order(seed, keys, most):
    chance = random.Random(seed)
    line, now_s = Line(), 0.0
    coming = [delivery(position, key) for position, key in enumerate(keys)]
    flying: list[Delivery] = []
    finished: list[Delivery] = []
    while coming or line.held:
        step = chance.choice(["add", "take", "done", "done", "again", "wait"])
        if step == "add" and coming:
            line.add(coming.pop(0), now_s)
        elif step == "take":
            taken = line.take(now_s, most)
            assert len(taken) <= most
            assert not set(taken) & set(flying)
            assert all(one.due_at <= now_s for one in taken)
            before = {one.key for one in flying if one.key is not None}
            assert not before & {one.key for one in taken}
            for key in before | {one.key for one in taken if one.key is not None}:
                places = [one.position for one in taken if one.key == key]
                assert places == sorted(places)
            if any(one.alone for one in taken):
                assert len(taken) == 1
            flying += taken
        elif step in ("done", "again") and flying:
            # What went together comes back together, in its order.
            one = flying.pop(0)
            if step == "done":
                line.done(one, now_s)
                finished.append(one)
            else:
                one.alone, one.due_at = True, now_s + chance.choice([0.0, 1.0, 5.0])
                line.again(one, now_s)
        else:
            due_s = line.next_due_s()
            now_s = max(now_s + 0.5, due_s or 0.0)
            if not (coming or flying or line.has_ready or due_s is not None):
                assert not line.held
        assert line.in_flight == len(flying)
    assert Counter(one.position for one in finished) == Counter(range(len(keys)))
    assert line.held_bytes == 0
    assert line.next_due_s() is None
    assert not line.has_ready


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans()), max_size=30), st.integers(1, 5))
def test_a_key_ends_in_the_order_in_which_it_came_though_some_fail_at_first(wanted, most):
    line, now_s = Line(), 0.0
    ended: list[Delivery] = []
    fails = {position for position, (_, failing) in enumerate(wanted) if failing}
    for position, (key, _) in enumerate(wanted):
        line.add(delivery(position, key), now_s)
    while line.held:
        now_s = max(now_s, line.next_due_s() or 0.0)
        taken = line.take(now_s, most)
        failed = len(taken) > 1 and any(one.position in fails for one in taken)
        for one in taken:
            if failed or one.position in fails:
                if not failed:
                    fails.discard(one.position)
                one.alone, one.due_at = True, now_s + 1
                line.again(one, now_s)
            else:
                line.done(one, now_s)
                ended.append(one)
    for key in ("a", "b"):
        places = [one.position for one in ended if one.key == key]
        assert places == sorted(places)
    assert len(ended) == len(wanted)


def test_a_key_that_waits_for_its_next_attempt_holds_up_its_own_and_nobody_else():
    line = Line()
    first, second, other, free = delivery(1, "k"), delivery(2, "k"), delivery(3, "other"), delivery(4)
    for one in (first, second, other, free):
        line.add(one, 0.0)
    assert line.take(0.0, 1) == [first]
    first.due_at = 10.0
    line.again(first, 0.0)
    assert line.take(0.0, 10) == [other, free]
    assert line.take(9.9, 10) == []
    assert line.next_due_s() == 10.0
    assert line.take(10.0, 1) == [first]
    line.done(first, 10.0)
    assert line.take(10.0, 10) == [second]
