from hypothesis import given
from hypothesis import strategies as st

from skerry.scaling.residency import Resident, Wanted, decide

WANTED = Wanted(function="wanted", size_bytes=50)


def resident(function, size_bytes=40, **values):
    return Resident(function=function, size_bytes=size_bytes, **values)


def test_what_fits_is_let_in():
    assert decide(WANTED, [resident("a")], 90).admitted


def test_the_least_recently_used_idle_ones_go_first_and_no_more_than_it_takes():
    loaded = [resident("new", idle_since_s=3.0), resident("old", idle_since_s=1.0), resident("mid", idle_since_s=2.0)]

    assert decide(WANTED, loaded, 130).evict == ("old",)
    assert decide(WANTED, loaded, 100).evict == ("old", "mid")


def test_a_busy_one_is_waited_for_and_nobody_is_put_out_in_vain():
    loaded = [resident("busy", busy=True), resident("idle", size_bytes=5)]

    decision = decide(WANTED, loaded, 80)
    assert decision.evict == ()
    assert decision.wait_for == ("busy",)


def test_while_others_leave_already_nobody_else_is_put_out():
    loaded = [resident("gone", leaving=True, busy=True), resident("idle")]

    decision = decide(WANTED, loaded, 100)
    assert (decision.evict, decision.wait_for) == ((), ("gone",))


def test_what_can_never_fit_is_refused_with_the_figures():
    loaded = [resident("kept", 60_000_000, pinned=True), resident("busy", 10_000_000, busy=True)]
    reason = decide(Wanted(function="big", size_bytes=70_000_000), loaded, 120_000_000).refuse

    assert reason == (
        "function 'big' needs 70 MB of memory; the budget of all functions is 120 MB, and in use by others: "
        "kept 60 MB, busy 10 MB (of which 60 MB are kept by scale.min)"
    )


def test_one_of_which_nothing_is_known_is_not_refused_for_what_others_hold():
    assert decide(Wanted(function="new", size_bytes=0), [resident("kept", 200, pinned=True)], 100).admitted


sizes = st.integers(0, 100)
residents = st.lists(
    st.builds(
        Resident,
        function=st.sampled_from("abcdefgh"),
        size_bytes=sizes,
        busy=st.booleans(),
        idle_since_s=st.floats(0, 10),
        pinned=st.booleans(),
        leaving=st.booleans(),
    ),
    unique_by=lambda one: one.function,
    max_size=8,
)


@given(st.builds(Wanted, function=st.just("wanted"), size_bytes=st.integers(1, 100)), residents, st.integers(1, 400))
def test_every_decision_keeps_its_word(wanted, loaded, budget):
    decision = decide(wanted, loaded, budget)
    by_name = {one.function: one for one in loaded}
    held = sum(one.size_bytes for one in loaded)
    kept = sum(one.size_bytes for one in loaded if one.pinned and not one.leaving)

    assert (decision.refuse is not None) == (wanted.size_bytes > max(0, budget - kept))
    if decision.refuse is not None:
        assert not decision.evict
        return
    if decision.admitted:
        assert held + wanted.size_bytes <= budget
    out = [by_name[name] for name in decision.evict]
    assert not any(one.busy or one.pinned or one.leaving for one in out)
    idle = sorted(
        (one for one in loaded if not (one.busy or one.pinned or one.leaving)),
        key=lambda one: (one.idle_since_s, one.function),
    )
    assert out == idle[: len(out)]  # the least recently used
    if out:
        freed = sum(one.size_bytes for one in out) + sum(one.size_bytes for one in loaded if one.leaving)
        assert held - freed + wanted.size_bytes <= budget
        assert held - freed + out[-1].size_bytes + wanted.size_bytes > budget  # not one more than it takes
    elif not decision.admitted:
        assert decision.wait_for
        assert all(by_name[name].busy or by_name[name].leaving for name in decision.wait_for)
