"""The choice among variants of a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.scaling.variants import OLDEST_S, Variant, choose

NOW = 1e9


def variant(name="v", latency_s=0.01, accuracy_ratio=0.98, **rest):
    measured = {"memory_bytes": 10**7, "load_s": 0.1, "measured_at": NOW, "is_loaded": True, **rest}
    times = latency_s if isinstance(latency_s, dict) else {1: latency_s}
    return Variant(name=name, latency_s=times, accuracy_ratio=accuracy_ratio, **measured)


variants = st.lists(
    st.builds(
        Variant,
        name=st.text("abc", min_size=1, max_size=3),
        latency_s=st.dictionaries(st.integers(1, 64), st.floats(1e-5, 10.0), max_size=4),
        accuracy_ratio=st.none() | st.floats(0, 1),
        memory_bytes=st.integers(0, 10**10),
        load_s=st.floats(0, 10),
        measured_at=st.floats(NOW - 2 * OLDEST_S, NOW),
        is_loaded=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda one: one.name,
)
objectives, floors, sizes = st.floats(1e-4, 20.0), st.none() | st.floats(0, 1), st.integers(1, 200)


@given(variants, objectives, floors, sizes)
def test_what_is_chosen_is_good_enough_and_nothing_good_enough_is_cheaper(found, objective_s, floor, size):
    choice = choose(found, objective_s, floor, NOW, size=size)

    def is_good(one):
        right = floor is None or (one.accuracy_ratio is not None and one.accuracy_ratio >= floor)
        return bool(one.latency_s) and NOW - one.measured_at <= OLDEST_S and right and one.answer_s(size) <= objective_s

    good = [one for one in found if is_good(one)]
    if choice.variant is None:
        assert good == []
        assert choice.explain()
        assert set(choice.reasons) >= {one.name for one in found}
    else:
        assert choice.variant in good
        assert all(choice.variant.cost_s(size) <= one.cost_s(size) for one in good)
        assert set(choice.reasons) == {one.name for one in found} - {choice.variant.name}


@given(variants, objectives, floors, sizes, st.randoms())
def test_the_order_does_not_matter(found, objective_s, floor, size, random):
    shuffled = random.sample(found, len(found))

    assert choose(found, objective_s, floor, NOW, size=size).variant == (
        choose(shuffled, objective_s, floor, NOW, size=size).variant
    )


@given(variants, objectives, st.floats(0, 1), sizes, st.floats(1, 3), st.floats(0, 1))
def test_who_wants_less_is_served_at_least_as_cheaply(found, objective_s, floor, size, more, less):
    strict = choose(found, objective_s, floor, NOW, size=size).variant
    relaxed = choose(found, objective_s * more, floor * less, NOW, size=size).variant

    if strict is not None:
        assert relaxed is not None
        assert relaxed.cost_s(size) <= strict.cost_s(size)


@given(st.dictionaries(st.integers(1, 64), st.floats(1e-4, 10), min_size=1, max_size=5), sizes)
def test_times_between_measured_sizes_lie_between_theirs(times, size):
    found = variant(latency_s=times).batch_s(size)

    if size in times:
        assert found == times[size]
    elif min(times) < size < max(times):
        below, above = max(k for k in times if k < size), min(k for k in times if k > size)
        low, high = sorted((times[below], times[above]))
        assert low - 1e-12 <= found <= high + 1e-12
    elif size > max(times):
        assert found == pytest.approx(times[max(times)] * size / max(times))
    else:
        assert found == times[min(times)]


def test_the_quantised_variant_answers_those_who_take_its_accuracy():
    full, small = variant("full", 0.040, 0.985), variant("int8", 0.010, 0.972)

    assert choose([full, small], 0.05, 0.97, NOW).variant is small
    assert choose([full, small], 0.05, 0.98, NOW).variant is full
    assert choose([full, small], 0.02, 0.98, NOW).variant is None


def test_a_variant_that_is_loaded_is_preferred_to_one_that_would_be():
    loaded, idle = variant("full", 0.040), variant("int8", 0.010, is_loaded=False)

    assert choose([loaded, idle], 1.0, None, NOW).variant is loaded
    assert choose([loaded, idle], 1.0, None, NOW, size=64).variant is idle  # so many items are worth loading it


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([], "no variants"),
        ([variant(latency_s={})], "latency was not measured"),
        ([variant(accuracy_ratio=None)], "accuracy was not measured"),
        ([variant(measured_at=NOW - 40 * 86400)], "40 days ago"),
        ([variant(accuracy_ratio=0.5)], "0.5 of its answers are right, and 0.9 are wanted"),
        ([variant(is_loaded=False)], "0.1 s of it to load, and 0.05 s are wanted"),
        ([variant(latency_s=0.2)], "v: it takes 0.2 s, and 0.05 s are wanted"),
    ],
)
def test_where_none_is_good_enough_each_says_what_it_lacks(found, says):
    choice = choose(found, 0.05, 0.9, NOW)

    assert choice.variant is None
    assert says in choice.explain()
