import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.events.matching import compile_filter
from skerry.spec import Filter

EVENT = {"type": "net.flow.window", "source": "/site/north", "subject": "port/3"}


def takes(wanted, **attributes):
    return compile_filter(wanted.dialect)({**EVENT, **attributes})


@pytest.mark.parametrize(
    ("wanted", "is_taken"),
    [
        (Filter.exact(type="net.flow.window"), True),
        (Filter.exact(type="net.flow.window", source="/site/south"), False),
        (Filter.exact(missing="x"), False),
        (Filter.prefix(type="net.", subject="port/"), True),
        (Filter.prefix(missing="x"), False),
        (Filter.suffix(source="north"), True),
        (Filter.suffix(source="south"), False),
        (~Filter.exact(missing="x"), True),
        (Filter.exact(subject="port/3") & Filter.prefix(type="net."), True),
        (Filter.exact(subject="port/3") & Filter.prefix(type="tcp."), False),
        (Filter.exact(subject="port/4") | Filter.prefix(type="net."), True),
        (Filter.exact(subject="port/4") | Filter.prefix(type="tcp.") | Filter.suffix(type="x"), False),
    ],
)
def test_a_filter_takes_what_it_says(wanted, is_taken):
    assert takes(wanted) is is_taken


def test_a_trigger_without_a_filter_takes_everything():
    assert compile_filter(None)({})


texts = st.sampled_from(["a", "ab", "abc", "b", "/a"])
names = st.sampled_from(["type", "source", "subject", "x"])
simple = st.builds(
    lambda kind, attributes: Filter({kind: attributes}),
    st.sampled_from(["exact", "prefix", "suffix"]),
    st.dictionaries(names, texts, min_size=1, max_size=2),
)
filters = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        inner.map(lambda f: ~f),
    ),
    max_leaves=5,
)


@given(filters, filters, st.dictionaries(names, texts))
def test_joined_filters_are_what_logic_says(one, other, attributes):
    def says(wanted):
        return compile_filter(wanted.dialect)(attributes)

    assert says(one & other) == (says(one) and says(other))
    assert says(one | other) == (says(one) or says(other))
    assert says(~one) == (not says(one))
    assert says(~(one & other)) == says(~one | ~other)
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("dialect", "says"),
    [
        ({}, "one of exact"),
        ({"exact": {"type": "x"}, "prefix": {"type": "x"}}, "one of exact"),
        ({"cesql": "true"}, "one of exact"),
        ({"exact": {}}, "name an attribute"),
        ({"exact": {"Type": "x"}}, "no attribute of an event"),
        ({"prefix": {"type": ""}}, "not empty"),
        ({"exact": {"type": 3}}, "not empty"),
        ({"all": []}, "list of filters"),
        ({"any": {"exact": {"type": "x"}}}, "list of filters"),
        ({"not": {"exact": {}}}, "name an attribute"),
    ],
)
def test_what_is_no_filter_is_refused(dialect, says):
    with pytest.raises(SpecError, match=says):
        Filter(dialect)


@pytest.mark.parametrize("kind", [Filter.exact, Filter.prefix, Filter.suffix])
def test_a_filter_on_data_is_refused_where_it_is_written_and_served_where_it_is_on_record(kind):
    with pytest.raises(SpecError, match="does not look into an event's data"):
        kind(type="reading", data="hot")
    Filter({"exact": {"data": "hot"}})


def test_filters_in_each_other_have_an_end():
    wanted = Filter.exact(type="x")
    for _ in range(10):
        wanted = ~wanted
    with pytest.raises(SpecError, match="more than 10"):
        _ = ~wanted
