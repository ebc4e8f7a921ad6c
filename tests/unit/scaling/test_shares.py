import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.scaling import Claim, Shares, fair_shares

WHOLE = st.builds(Claim, demand=st.integers(0, 40), room=st.just(16), weight=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
ANY = st.builds(
    Claim,
    demand=st.just(0.0) | st.floats(0.001, 40),
    room=st.integers(1, 20),
    weight=st.floats(0.1, 10),
    floor=st.integers(0, 4),
)


def shares(*claims):
    given = fair_shares(dict(enumerate(claims)))
    return [given[key] for key in range(len(claims))]


def test_what_fits_is_given_in_full():
    assert shares(Claim(demand=3, room=8), Claim(demand=5, room=8)) == [3, 5]
    assert shares(Claim(demand=0, room=8), Claim(demand=8, room=8)) == [0, 8]


def test_a_machine_that_is_wanted_twice_is_halved():
    assert shares(Claim(demand=8, room=8), Claim(demand=80, room=8)) == [4, 4]


def test_what_one_leaves_goes_to_the_others():
    assert shares(*(Claim(demand=d, room=9) for d in (1, 100, 100))) == [1, 4, 4]


def test_shares_follow_the_weights():
    assert shares(Claim(demand=50, room=9, weight=2), Claim(demand=50, room=9)) == [6, 3]


def test_everybody_gets_one_worker_be_the_machine_too_small_for_it():
    assert shares(*[Claim(demand=7, room=2)] * 5) == [1] * 5


def test_a_worker_that_needs_more_of_the_machine_counts_for_more():
    # Workers of the first take a quarter of the machine each, those of the second an eighth.
    assert shares(Claim(demand=9, room=4), Claim(demand=9, room=8)) == [2, 4]


def test_the_floor_is_never_taken_away():
    assert shares(Claim(demand=9, room=8, floor=7), Claim(demand=9, room=8)) == [7, 1]
    assert shares(Claim(demand=2, room=8, floor=7), Claim(demand=9, room=8)) == [2, 6]


def test_next_to_no_load_takes_next_to_nothing():
    assert shares(Claim(demand=2, room=2), Claim(demand=0.01, room=2)) == [2, 1]
    assert shares(Claim(demand=2, room=2), Claim(demand=0.9, room=2)) == [1, 1]


@given(st.lists(WHOLE, max_size=8))
def test_whole_demands_get_the_max_min_fair_allocation(claims):
    given = shares(*claims)
    room = 16
    wanting = [claim for claim in claims if claim.demand]
    # Never more than wanted, at least one, and no more than there is unless everybody has just one.
    assert all((share >= 1) == (claim.demand > 0) for share, claim in zip(given, claims, strict=True))
    assert all(share <= claim.demand for share, claim in zip(given, claims, strict=True))
    assert sum(given) == max(len(wanting), min(room, sum(claim.demand for claim in claims)))
    # Nobody who wants more could have it from one whose share, relative to the weight, is larger.
    for share, claim in zip(given, claims, strict=True):
        if share < claim.demand:
            for other, its in zip(given, claims, strict=True):
                assert other <= 1 or other / its.weight <= (share + 1) / claim.weight + 1e-9


@given(st.lists(ANY, max_size=8))
def test_any_demands_keep_the_promises(claims):
    given = shares(*claims)
    free_ratio, kept = 1.0, True
    for share, claim in zip(given, claims, strict=True):
        assert min(claim.workers, max(1, claim.floor)) <= share <= claim.workers
        assert claim.workers == math.ceil(claim.demand - 1e-6)
        free_ratio -= min(share, claim.demand) / claim.room
        kept &= share <= max(1, claim.floor)
    if not kept:  # someone got more than is always given: there was room for at least half of the last worker
        assert free_ratio >= -0.5 - 1e-6
    for share, claim in zip(given, claims, strict=True):
        if share < claim.workers:  # nothing that is free is withheld
            assert free_ratio < min(1.0, claim.demand - share) / claim.room / 2


@given(st.lists(ANY, min_size=1, max_size=6), st.integers(0, 5), st.floats(1.0, 3.0))
def test_a_larger_weight_never_means_fewer_workers(claims, index, factor):
    index %= len(claims)
    room = max(claim.room for claim in claims)
    claims = [Claim(demand=math.ceil(c.demand), room=room, weight=c.weight, floor=c.floor) for c in claims]
    claim = claims[index]
    heavier = Claim(demand=claim.demand, room=room, weight=claim.weight * factor, floor=claim.floor)
    assert shares(*claims[:index], heavier, *claims[index + 1 :])[index] >= shares(*claims)[index]


class TestShares:
    def test_there_is_no_limit_while_the_machine_has_room(self):
        table = Shares()
        assert table.claim("a", Claim(demand=3, room=4)) == []
        assert table.claim("b", Claim(demand=1, room=4)) == []
        assert (table.limit("a"), table.limit("b"), table.limit("c")) == (None, None, None)

    def test_a_claim_limits_the_others_and_says_whom(self):
        table = Shares()
        table.claim("a", Claim(demand=4, room=4))
        table.claim("idle", Claim(demand=0, room=4))
        assert table.claim("b", Claim(demand=9, room=4)) == ["a"]
        assert (table.limit("a"), table.limit("b"), table.limit("idle")) == (2, 2, None)
        assert table.claim("b", Claim(demand=10, room=4)) == []  # nothing has changed

    def test_a_satisfied_demand_is_not_limited(self):
        table = Shares()
        table.claim("a", Claim(demand=1, room=4))
        table.claim("b", Claim(demand=9, room=4))
        assert (table.limit("a"), table.limit("b")) == (None, 3)  # a's idle workers take nothing from b

    @pytest.mark.parametrize("end", [lambda t: t.leave("b"), lambda t: t.claim("b", Claim(demand=0, room=4))])
    def test_what_one_gives_up_is_free_again(self, end):
        table = Shares()
        table.claim("a", Claim(demand=4, room=4))
        table.claim("b", Claim(demand=4, room=4))
        end(table)
        assert table.limit("a") is None
