import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import skerry.spec
from skerry.errors import SpecError
from skerry.spec import (
    ENGINE,
    PLATFORMS,
    RUNTIME,
    Batch,
    FunctionSpec,
    Scale,
    check_platform,
    function_spec,
    support_matrix,
)

DURATIONS = st.builds("{}{}".format, st.integers(1, 900), st.sampled_from(["ms", "s"])).filter(
    lambda text: text not in {f"{n}ms" for n in range(10)}
)
SECONDS = st.builds("{}s".format, st.integers(0, 3600))
SIZES = st.builds("{}{}".format, st.integers(2, 500), st.sampled_from(["MiB", "MB", "Mi"]))
SCALES = st.fixed_dictionaries(
    {},
    optional={
        "min": st.integers(0, 4),
        "max": st.just(0) | st.integers(4, 100),
        "initial": st.integers(0, 4),
        "target": st.none() | st.floats(0.01, 1000) | st.integers(1, 9),
        "utilization": st.floats(0.01, 1),
        "window": st.builds("{}s".format, st.integers(10, 3600)),
        "panic_window": st.none() | st.builds("{}s".format, st.integers(1, 10)),
        "panic_threshold": st.floats(1.1, 10),
        "up_rate": st.floats(1.01, 1e6),
        "down_rate": st.floats(1.01, 1e6),
        "delay": SECONDS,
        "grace": SECONDS,
    },
)
BATCHES = st.fixed_dictionaries(
    {},
    optional={
        "max_size": st.integers(1, 4096),
        "objective": st.builds("{}ms".format, st.integers(1, 3_600_000)),
        "max_weight": st.none() | st.floats(0.01, 1e12) | st.integers(1, 9),
        "weight": st.sampled_from(["items", "bytes"]),
    },
)
SPECS = st.fixed_dictionaries(
    {"name": st.from_regex(skerry.spec.function.NAME, fullmatch=True)},
    optional={
        "memory": st.none() | SIZES,
        "cpu": st.floats(0.01, 1024) | st.integers(1, 8),
        "timeout": DURATIONS,
        "start_timeout": DURATIONS,
        "drain": DURATIONS,
        "concurrency": st.integers(1, 10_000),
        "queue": st.integers(0, 1_000_000),
        "max_in_flight": st.integers(0, 1_000_000),
        "max_body": SIZES,
        "files": st.integers(16, 1_048_576),
        "idempotent": st.booleans(),
        "env": st.dictionaries(st.text(), st.text(), max_size=3),
        "batch": st.none() | BATCHES,
        "scale": SCALES,
    },
)


@given(SPECS)
def test_a_spec_comes_back_from_its_dictionary_and_from_json(options):
    spec = function_spec(options, where="test")
    assert function_spec(spec.to_dict(), where="test") == spec
    assert function_spec(json.loads(json.dumps(spec.to_dict())), where="test") == spec
    for name, value in options.items():
        if name not in ("scale", "batch"):
            assert getattr(spec, name) == value


def test_quantities_are_in_their_units():
    spec = FunctionSpec(name="f", memory="200MiB", timeout="10m", start_timeout="500ms", drain="1h", max_body="1kB")
    assert spec.memory_bytes == 200 * 2**20
    assert (spec.timeout_s, spec.start_timeout_s, spec.drain_s) == (600, 0.5, 3600)
    assert spec.max_body_bytes == 1000
    assert FunctionSpec(name="f").memory_bytes is None


@pytest.mark.parametrize("name", ["a", "train", "a-b_c9", "a" * 63])
def test_good_names_are_taken(name):
    assert FunctionSpec(name=name).name == name


@pytest.mark.parametrize("name", ["", "A", "9a", "-a", "a-", "a.b", "a/b", "a" * 64, "a\n"])
def test_bad_names_are_refused(name):
    with pytest.raises(SpecError, match="name"):
        FunctionSpec(name=name)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("memory", "1kB"),
        ("memory", 200),
        ("cpu", 0),
        ("cpu", "1"),
        ("cpu", True),
        ("timeout", "0s"),
        ("timeout", 60),
        ("timeout", "2d"),
        ("concurrency", 0),
        ("concurrency", 1.5),
        ("queue", -1),
        ("max_in_flight", -1),
        ("max_in_flight", 0.5),
        ("batch", 64),
        ("batch", True),
        ("max_body", "0"),
        ("max_body", "3GiB"),
        ("files", 15),
        ("idempotent", 1),
        ("idempotent", "yes"),
        ("env", {"A": 1}),
        ("env", ["A=1"]),
        ("scale", 3),
    ],
)
def test_a_bad_value_is_refused_with_the_option_and_where_it_stands(option, value):
    with pytest.raises(SpecError, match=option) as caught:
        function_spec({"name": "f", option: value}, where="function 'f'")
    assert caught.value.message.startswith("function 'f'")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("min", -1),
        ("max", -1),
        ("min", 1.0),
        ("initial", None),
        ("target", 0),
        ("utilization", 0),
        ("utilization", 1.1),
        ("window", "0.5s"),
        ("window", "2h"),
        ("panic_window", "61s"),
        ("panic_threshold", 1),
        ("up_rate", 1),
        ("down_rate", 0.5),
        ("delay", "-1s"),
        ("grace", 30),
    ],
)
def test_a_bad_scale_value_is_refused_with_the_option_and_where_it_stands(option, value):
    with pytest.raises(SpecError, match=option) as caught:
        function_spec({"name": "f", "scale": {option: value}}, where="function 'f'")
    assert caught.value.message.startswith("function 'f'.scale")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_size", 0),
        ("max_size", 4097),
        ("max_size", 1.5),
        ("objective", "0"),
        ("objective", "0s"),
        ("objective", "61m"),
        ("objective", 50),
        ("objective", "50"),
        ("max_weight", 0),
        ("max_weight", -1.0),
        ("max_weight", float("inf")),
        ("max_weight", "1MiB"),
        ("weight", "tokens"),
    ],
)
def test_a_bad_batch_value_is_refused_with_the_option_and_where_it_stands(option, value):
    with pytest.raises(SpecError, match=option) as caught:
        function_spec({"name": "f", "batch": {option: value}}, where="function 'f'")
    assert caught.value.message.startswith("function 'f'.batch")


def test_the_bounds_of_a_batch_are_taken():
    assert Batch(max_size=1, objective="1us", max_weight=0.001).objective_s == pytest.approx(1e-6)
    assert Batch(max_size=4096, objective="1h").objective_s == 3600
    assert Batch().objective_s == 0.05


def test_the_minimum_may_not_be_above_the_maximum():
    with pytest.raises(SpecError, match="min = 3"):
        Scale(min=3, max=2)


@pytest.mark.parametrize(
    "values",
    [
        {"memroy": "1MiB"},
        {"scale": {"maximum": 3}},
        {"memory_bytes": 5},
        {"scale": {"window_s": 1}},
        {"batch": {"size": 3}},
    ],
)
def test_an_unknown_option_is_refused_with_those_that_there_are(values):
    with pytest.raises(SpecError, match=r"unknown option .*there are: "):
        function_spec({"name": "f", **values}, where="test")


def test_a_spec_without_a_name_is_refused():
    with pytest.raises(SpecError, match="name"):
        function_spec({}, where="test")


def test_a_spec_cannot_be_changed():
    spec = FunctionSpec(name="f", env={"A": "1"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.cpu = 2
    with pytest.raises(TypeError):
        spec.env["A"] = "2"


def test_a_spec_does_not_follow_the_mapping_that_it_was_made_of():
    env = {"A": "1"}
    spec = FunctionSpec(name="f", env=env)
    env["A"] = "2"
    assert spec.env["A"] == "1"


def test_the_panic_window_is_a_tenth_of_the_window_unless_given():
    assert Scale(window="30s").panic_window_s == 3
    assert Scale(window="30s", panic_window="5s").panic_window_s == 5


@pytest.mark.parametrize("cls", [FunctionSpec, Scale, Batch])
def test_every_option_has_help_and_a_platform(cls):
    options = support_matrix(cls)
    assert set(options) == {f.name for f in dataclasses.fields(cls) if f.init}
    for field in dataclasses.fields(cls):
        if field.init:
            assert field.metadata["help"]
            assert options[field.name] <= set(PLATFORMS)
            assert options[field.name]
            assert set(field.metadata["becomes"]) == set(PLATFORMS)
            assert all(field.metadata["becomes"].values())


def test_options_that_a_platform_ignores_are_named_where_they_are_set():
    spec = FunctionSpec(name="f", memory="5MiB", scale=Scale(max=3, grace="1s"))
    assert check_platform(spec, ENGINE) == []
    assert check_platform(spec, RUNTIME) == ["scale.max", "scale.grace"]
    assert check_platform(FunctionSpec(name="f"), RUNTIME) == []
    batched = FunctionSpec(name="f", batch=Batch(max_size=8, weight="bytes"))
    assert (check_platform(batched, ENGINE), check_platform(batched, RUNTIME)) == ([], [])


def test_a_whole_number_is_the_same_option_as_its_float():
    assert FunctionSpec(name="f", cpu=1).to_dict() == FunctionSpec(name="f", cpu=1.0).to_dict()
    assert isinstance(FunctionSpec(name="f", cpu=2).cpu, float)


def test_a_size_without_a_unit_says_how_to_write_it():
    with pytest.raises(SpecError, match=r'memory = 200: expected text .*"200MiB"'):
        FunctionSpec(name="f", memory=200)
    with pytest.raises(SpecError, match="memory = '1MB': must be at least 1MiB"):
        FunctionSpec(name="f", memory="1MB")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("option", ["up_rate", "down_rate", "panic_threshold", "target", "utilization"])
def test_numbers_that_are_none_are_refused(option, value):
    with pytest.raises(SpecError, match=option):
        Scale(**{option: value})
