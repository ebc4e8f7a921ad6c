import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.observe import Callback, Counter, Histogram, Registry, Split

BOUNDS = (0.1, 0.5, 1.0, 10.0)
VALUES = st.floats(0, 100) | st.sampled_from(BOUNDS)


def test_nothing_to_show_is_an_empty_text():
    registry = Registry()
    registry.family("empty_total", "counter", "Nothing.", ["a"])
    assert registry.render() == b""
    assert registry.render(openmetrics=True) == b"# EOF\n"


def test_a_counter_is_counted_by_adding_to_its_value():
    registry = Registry()
    family = registry.family("calls_total", "counter", "Calls.\nAll of them, \\ included.", ["name"])
    counter = family.add(["greet"], Counter())
    counter.value += 2
    assert registry.render() == (
        b"# HELP calls_total Calls.\\nAll of them, \\\\ included.\n# TYPE calls_total counter\n"
        b'calls_total{name="greet"} 2\n'
    )


def test_openmetrics_names_the_family_of_a_counter_without_total_and_ends_with_a_mark():
    registry = Registry()
    registry.family("calls_total", "counter", 'The "calls".').add([], Counter())
    body, content_type = registry.exposition("text/plain;q=0.5,application/openmetrics-text;version=1.0.0")
    assert body == b'# HELP calls The \\"calls\\".\n# TYPE calls counter\ncalls_total 0\n# EOF\n'
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")


@pytest.mark.parametrize("accept", [None, "", "text/plain", "*/*"])
def test_the_older_format_is_what_others_get(accept):
    assert Registry().exposition(accept)[1] == "text/plain; version=0.0.4; charset=utf-8"


def test_callbacks_are_asked_when_somebody_looks(read_metrics):
    registry, states = Registry(), {}
    registry.family("depth", "gauge", "Depth.").add([], Callback(lambda: len(states)))
    registry.family("workers", "gauge", "Workers.", ["name"]).add(["f"], Split("state", lambda: states))
    states.update(ready=2, starting=1)
    assert read_metrics(registry.render()) == {
        ("depth", ()): 2,
        ("workers", (("name", "f"), ("state", "ready"))): 2,
        ("workers", (("name", "f"), ("state", "starting"))): 1,
    }


def test_a_histogram_is_cumulative_and_its_bounds_are_inclusive(read_metrics):
    registry = Registry()
    histogram = registry.family("took_seconds", "histogram", "Took.", ["name"]).add(["f"], Histogram(BOUNDS))
    for value in (0.1, 0.2, 5.0, 11.0):
        histogram.observe(value)
    samples = read_metrics(registry.render())
    name = ("name", "f")
    assert [samples["took_seconds_bucket", (name, ("le", le))] for le in ("0.1", "0.5", "1.0", "10.0", "+Inf")] == [
        *(1, 2, 2, 3, 4)
    ]
    assert samples["took_seconds_count", (name,)] == 4
    assert samples["took_seconds_sum", (name,)] == pytest.approx(16.3)


@given(st.lists(VALUES, max_size=80))
def test_all_at_once_counts_as_one_by_one(values):
    one, every = Histogram(BOUNDS), Histogram(BOUNDS)
    for value in values:
        one.observe(value)
    every.observe_all(values)
    assert every.counts == one.counts
    assert every.sum == pytest.approx(one.sum)


@given(st.lists(VALUES, max_size=80))
def test_each_bucket_holds_what_is_at_most_its_bound(values):
    histogram = Histogram(BOUNDS)
    histogram.observe_all(values)
    for index, bound in enumerate(BOUNDS):
        assert sum(histogram.counts[: index + 1]) == sum(value <= bound for value in values)
    assert histogram.count == len(values)


@given(st.lists(st.floats(allow_nan=True), max_size=20))
def test_no_number_whatever_stops_it(values):
    histogram = Histogram(BOUNDS)
    histogram.observe_all(values)
    assert histogram.count == len(values)


@given(VALUES, st.integers(0, 100))
def test_many_are_as_many_as_one_by_one(value, count):
    one, many = Histogram(BOUNDS), Histogram(BOUNDS)
    for _ in range(count):
        one.observe(value)
    many.observe_many(value, count)
    assert many.counts == one.counts
    assert many.sum == pytest.approx(one.sum)


@given(st.lists(st.tuples(st.text(), st.text()), unique=True), st.text())
def test_any_label_and_help_come_back_as_they_were(read_metrics, label_sets, help_text):
    registry = Registry()
    family = registry.family("some", "gauge", help_text, ["a", "b"])
    for index, labels in enumerate(label_sets):
        family.add(labels, Callback(lambda index=index: index))
    samples = read_metrics(registry.render())
    assert samples == {("some", (("a", a), ("b", b))): index for index, (a, b) in enumerate(label_sets)}


@pytest.mark.parametrize(
    ("value", "text"), [(math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (1e-7, "1e-07")]
)
def test_numbers_as_prometheus_writes_them(value, text):
    registry = Registry()
    registry.family("x", "gauge", "X.").add([], Callback(lambda: value))
    assert registry.render().endswith(f"\nx {text}\n".encode())


def test_a_newer_instrument_takes_the_place_of_an_older_one_and_stays_when_that_goes():
    family = Registry().family("calls_total", "counter", "Calls.", ["name"])
    old = family.add(["f"], Counter())
    new = family.add(["f"], Counter())
    family.remove(["f"], old)
    assert family.children == {("f",): new}
    family.remove(["f"], new)
    assert family.children == {}


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("1x", "gauge", []),
        ("x-y", "gauge", []),
        ("x", "counter", []),
        ("x_total", "gauge", []),
        ("x", "gauge", ["le"]),
        ("x", "gauge", ["__x"]),
        ("x", "gauge", ["a.b"]),
    ],
)
def test_names_that_prometheus_does_not_read_are_refused(name, kind, labels):
    with pytest.raises(ValueError, match="metric"):
        Registry().family(name, kind, "Help.", labels)


def test_a_name_is_declared_once_and_every_label_has_a_value():
    registry = Registry()
    family = registry.family("x", "gauge", "X.", ["a", "b"])
    with pytest.raises(ValueError, match="declared twice"):
        registry.family("x", "gauge", "X.")
    with pytest.raises(ValueError, match="1 values for the labels a, b"):
        family.add(["only"], Counter())


@given(st.lists(st.text(), min_size=1, unique=True), st.text(), st.lists(VALUES))
def test_the_parser_of_prometheus_reads_the_same(read_metrics, names, help_text, values):
    parser = pytest.importorskip("prometheus_client.parser", reason="an oracle, not needed otherwise")
    registry = Registry()
    family = registry.family("took_seconds", "histogram", help_text, ["name"])
    for name in names:
        family.add([name], Histogram(BOUNDS)).observe_all(values)
    families = list(parser.text_string_to_metric_families(registry.render().decode()))
    theirs = {(s.name, tuple(s.labels.items())): s.value for family in families for s in family.samples}
    assert theirs == read_metrics(registry.render())
