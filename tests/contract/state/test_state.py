"""What every store of states promises, asked of all backends."""

import threading
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

from skerry.errors import ConfigError, SpecError
from skerry.payload import Tensor
from skerry.store.state import State, StateStore, open_state

BAD_KEYS = ["", "@lock/a", "a\n", "a\0", "x" * 513, "é" * 257, "\udc80", 7, None, b"a"]


@dataclass
class Point:
    x: float
    y: float


def until(condition, wait_s=30):
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        threading.Event().wait(0.005)


class TestValues:
    def test_it_is_a_state_store_whose_url_opens_it_again(self, store, state):
        assert isinstance(store, StateStore)
        state.put("a", 1)
        again = open_state(store.url)
        assert State(lambda: again, state.group).get("a") == 1
        assert store.url in repr(store)
        assert state.group.removeprefix("app/") in store.groups("app")
        assert store.groups("nobody") == []
        again.close()

    @pytest.mark.parametrize(
        "value", [0, -5, 2**63 - 1, 2**64 - 1, 1.5, "", "näme", b"\0\xff", None, True, False, [1, [2]], {"a": {"b": 1}}]
    )
    def test_a_value_comes_back_as_it_was(self, state, value):
        state.put("key", value)
        found = state.get("key")
        assert found == value
        assert type(found) is type(value)

    def test_an_array_comes_back_with_its_type_and_shape(self, state):
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        state.put("array", {"points": array, "count": np.int64(3)})
        found = state.get("array")
        np.testing.assert_array_equal(found["points"], array)
        state.put("plain", array)
        hint = Annotated[np.ndarray, Tensor("float32", (None, 3))]
        np.testing.assert_array_equal(state.get("plain", hint), array)
        with pytest.raises(ConfigError, match="the state holds another type"):
            state.get("plain", Annotated[np.ndarray, Tensor("float32", (None, 4))])
        assert found["points"].dtype == np.float32
        assert found["count"] == 3

    def test_a_value_is_typed_as_a_payload(self, state):
        state.put("point", Point(1, 2.5))
        assert state.get("point") == {"x": 1, "y": 2.5}
        assert state.get("point", Point) == Point(1.0, 2.5)
        assert state.get("nothing", Point) is None
        state.put("other", {"x": "far"})
        with pytest.raises(ConfigError, match=r"the state holds another type than .*Point"):
            state.get("other", Point)
        with pytest.raises(SpecError):
            state.get("point", object())

    def test_what_has_no_form_is_refused_and_nothing_is_written(self, state):
        for value in (object(), 2**70):
            with pytest.raises(ConfigError, match="a state cannot hold this"):
                state.put("key", value)
        with pytest.raises(ConfigError, match="at most 67,108,864 bytes"):
            state.put("key", bytes(64 * 2**20))
        assert state.entry("key") is None

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_what_is_no_key_is_refused(self, state, key):
        for call in (lambda: state.get(key), lambda: state.put(key, 1), lambda: state.append(key, 1)):
            with pytest.raises(ConfigError, match="is not a key of a state"):
                call()

    def test_a_key_may_have_any_letters(self, state):
        for key in ("a b", "ä/ö", "x" * 512, "*", "a{b}", "%", "_", "-", "'", '"', "\\"):
            state.put(key, key)
            assert state.get(key) == key

    def test_a_version_grows_and_never_comes_twice(self, state):
        assert state.entry("a") is None
        first = state.put("a", 1)
        assert state.entry("a").version == first
        second = state.put("a", 1)
        state.delete("a")
        third = state.put("a", 1)
        assert first < second < third

    def test_compare_and_set_writes_only_over_the_version_that_was_seen(self, state, another):
        assert state.compare_and_set("a", "mine", version=0)
        assert another.compare_and_set("a", "theirs", version=0) == 0
        seen = another.entry("a")
        assert seen.value == "mine"
        new = another.compare_and_set("a", "theirs", version=seen.version)
        assert new > seen.version
        assert state.compare_and_set("a", "late", version=seen.version) == 0
        assert state.get("a") == "theirs"

    def test_delete_says_whether_there_was_something(self, state):
        assert state.delete("a") is False
        state.put("a", 1)
        assert state.delete("a") is True
        assert state.get("a") is None

    def test_states_have_nothing_to_do_with_each_other(self, store, state):
        other = State(lambda: store, f"{state.group}2")
        state.put("a", 1)
        assert other.get("a") is None
        assert list(other.list()) == []


class TestCounters:
    def test_increment_returns_the_new_number(self, state):
        assert [state.increment("n"), state.increment("n", 10), state.increment("n", -20)] == [1, 11, -9]
        assert state.get("n") == -9
        state.put("n", 5)
        assert state.increment("n") == 6

    @pytest.mark.parametrize("value", ["5", 1.5, None, [1], True])
    def test_what_is_no_whole_number_cannot_be_incremented(self, state, value):
        state.put("n", value)
        with pytest.raises(ConfigError, match="counters are whole numbers"):
            state.increment("n")
        assert state.get("n") == value

    def test_a_counter_stays_where_every_number_is_exact(self, state):
        state.put("n", 2**53 - 1)
        assert state.increment("n") == 2**53
        with pytest.raises(ConfigError, match="stay between"):
            state.increment("n")
        assert state.increment("n", -(2**53)) == 0
        state.put("n", 2**60)
        with pytest.raises(ConfigError, match="stay between"):
            state.increment("n", -1)
        for by in (1.5, "1", 2**53 + 1):
            with pytest.raises(ConfigError, match="whole number"):
                state.increment("n", by)

    def test_increments_of_eight_processes_are_all_counted(self, state, start_process):
        counting = start_process(state.group, "many", 8, "count", 250).wait_ready()
        counting.go()
        assert counting.finish() == "done\n"
        assert state.get("count") == 2000


class TestListsAndSets:
    def test_a_list_keeps_its_order_and_gives_from_both_ends(self, state):
        assert state.append("l", 1, "two") == 2
        assert state.append("l", {"three": 3}) == 3
        assert state.items("l") == [1, "two", {"three": 3}]
        assert state.size("l") == 3
        assert state.pop("l") == 1
        assert state.pop("l", last=True) == {"three": 3}
        assert state.append("l", 4) == 2
        assert state.items("l") == ["two", 4]

    @pytest.mark.parametrize(
        "bounds", [(0, None), (1, 3), (-2, None), (0, -1), (3, 1), (9, 12), (-9, 2), (0, 99), (-3, -1), (2, 2), (0, 0)]
    )
    def test_positions_mean_what_they_mean_in_a_list_of_python(self, state, bounds):
        state.append("l", *range(5))
        state.pop("l")
        assert state.items("l", *bounds) == [1, 2, 3, 4][slice(*bounds)]

    def test_an_empty_list_or_set_is_none(self, state):
        state.append("l", 1)
        state.pop("l")
        assert state.pop("l") is None
        state.add("s", 1)
        state.discard("s", 1)
        assert [state.size("l"), state.size("s"), state.items("l"), state.members("s")] == [0, 0, [], []]
        assert list(state.list()) == []
        state.add("l", "now a set")
        assert state.members("l") == ["now a set"]

    def test_a_set_holds_each_value_once(self, state):
        assert state.add("s", 1, "a", 1, b"a") == 3
        assert state.add("s", 1, 2) == 1
        assert state.contains("s", 2)
        assert not state.contains("s", "2")
        assert state.discard("s", 1, 7) == 1
        assert sorted(map(str, state.members("s"))) == ["2", "a", "b'a'"]
        assert state.size("s") == 3
        assert not state.contains("nothing", 1)

    def test_elements_are_typed(self, state):
        state.append("l", Point(1, 2))
        state.add("s", Point(3, 4))
        assert state.items("l", kind=Point) == [Point(1, 2)]
        assert state.members("s", Point) == [Point(3, 4)]
        assert state.pop("l", Point) == Point(1, 2)

    def test_a_version_changes_only_when_something_does(self, state):
        def version():
            return next(iter(state.list("s"))).version

        state.add("s", 1)
        first = version()
        state.add("s", 1)
        state.discard("s", 2)
        assert version() == first
        state.add("s", 2)
        assert version() > first

    @pytest.mark.parametrize("made", ["put", "append", "add"])
    def test_a_key_of_another_kind_is_refused_and_stays(self, state, made):
        getattr(state, made)("k", 1)
        version = next(iter(state.list())).version
        calls = {
            "put": [lambda: state.get("k"), lambda: state.increment("k"), lambda: state.entry("k")],
            "append": [
                lambda: state.append("k", 2),
                lambda: state.pop("k"),
                lambda: state.items("k"),
            ],
            "add": [
                lambda: state.add("k", 2),
                lambda: state.discard("k", 1),
                lambda: state.members("k"),
                lambda: state.contains("k", 1),
            ],
        }
        for kind, refused in calls.items():
            for call in refused if kind != made else []:
                with pytest.raises(ConfigError, match=r"k holds a (value|list|set), and .* needs"):
                    call()
        assert next(iter(state.list())).version == version
        state.put("k", "new")
        assert state.get("k") == "new"
        with pytest.raises(ConfigError, match="size needs a list or a set"):
            state.size("k")

    def test_values_must_be_given(self, state):
        with pytest.raises(ConfigError, match="needs one value at least"):
            state.append("l")


class TestTimeToLive:
    def test_a_key_ends_by_itself_and_its_version_with_it(self, state):
        version = state.put("a", 1, ttl_s=0.05)
        until(lambda: state.get("a") is None)
        assert state.entry("a") is None
        assert list(state.list()) == []
        assert state.delete("a") is False
        assert state.compare_and_set("a", 2, version=version) == 0
        assert state.compare_and_set("a", 2, version=0) > version
        assert state.get("a") == 2

    def test_lists_sets_and_counters_end_and_begin_anew(self, state):
        state.append("l", 1, 2, ttl_s=0.05)
        state.add("s", 1, 2, ttl_s=0.05)
        state.increment("n", 5, ttl_s=0.05)
        until(lambda: not list(state.list()))
        assert [state.size("l"), state.members("s"), state.get("n")] == [0, [], None]
        assert [state.append("l", 3), state.add("s", 1), state.increment("n")] == [1, 1, 1]
        assert state.items("l") == [3]

    def test_a_time_is_for_what_begins_and_a_put_sets_it_anew(self, state):
        state.increment("n")
        state.increment("n", ttl_s=0.001)
        state.put("p", 1, ttl_s=0.001)
        state.put("p", 2)
        state.put("q", 1, ttl_s=1000)
        ends = {info.key: info.ends_in_s for info in state.list()}
        assert ends["n"] is None
        assert ends["p"] is None
        assert 900 < ends["q"] <= 1000

    def test_expire_gives_and_takes_an_end_and_keeps_the_version(self, state):
        assert state.expire("a", 5) is False
        version = state.put("a", 1)
        assert state.expire("a", 500)
        assert 400 < next(state.list("a")).ends_in_s <= 500
        assert state.expire("a", None)
        assert next(state.list("a")).ends_in_s is None
        assert state.entry("a").version == version

    @pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf"), "5", 1e12])
    def test_a_time_that_is_none_is_refused(self, state, ttl_s):
        with pytest.raises(ConfigError, match="time to live"):
            state.put("a", 1, ttl_s=ttl_s)


class TestListing:
    def test_keys_are_listed_by_prefix_in_their_order(self, state):
        for key in ("b/2", "a", "b/1", "b", "c", "b0", "ü"):
            state.put(key, 1)
        state.append("b/list", 1)
        state.add("b/set", 1)
        assert [info.key for info in state.list()] == ["a", "b", "b/1", "b/2", "b/list", "b/set", "b0", "c", "ü"]
        assert [(info.key, info.kind) for info in state.list("b/l")] == [("b/list", "list")]
        assert [info.key for info in state.list("b/")] == ["b/1", "b/2", "b/list", "b/set"]
        assert list(state.list("nothing")) == []

    def test_more_keys_than_a_page_are_all_listed(self, state):
        with state.batch() as batch:
            for number in range(2500):
                batch.put(f"k{number:05}", number)
        assert [info.key for info in state.list("k")] == [f"k{number:05}" for number in range(2500)]
