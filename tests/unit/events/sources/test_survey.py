"""Which files become events: each version once, after it has stayed as it is."""

from hypothesis import given
from hypothesis import strategies as st

from skerry.events.sources.files.survey import Watch

LOOKS = st.lists(
    st.tuples(st.floats(0, 5), st.dictionaries(st.sampled_from("abc"), st.sampled_from("123"), max_size=3)), max_size=12
)


@given(LOOKS, st.sampled_from([0.0, 1.0, 3.0]))
def test_no_version_is_taken_before_it_has_settled_or_right_after_itself(looks, settle_s):
    watch, now_s = Watch({}, settle_s), 0.0
    since, last = {}, {}
    for pause_s, there in looks:
        now_s += pause_s
        since = {
            key: since[key] if key in since and since[key][0] == version else (version, now_s)
            for key, version in there.items()
        }
        survey = watch.look(there, now_s)
        for key in survey.ripe:
            assert now_s - since[key][1] >= settle_s
            assert last.get(key) != there[key]
            last[key] = there[key]
        watch.took({key: there[key] for key in survey.ripe})
        if settle_s == 0:
            assert all(last[key] == version for key, version in there.items())


def test_what_leaves_and_comes_back_is_told_once():
    watch = Watch({"a": "1"}, 0.0)
    assert watch.look({}, 1.0).gone == ["a"]
    assert watch.look({}, 2.0).gone == []
    assert watch.look({"a": "1"}, 3.0) == ([], [], ["a"])
    watch.look({}, 4.0)
    watch.forget(["a"])
    assert watch.look({"a": "1"}, 5.0) == (["a"], [], [])
