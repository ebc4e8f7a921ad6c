import dataclasses

import pytest

from skerry.errors import SpecError
from skerry.spec import ENGINE, RUNTIME, FunctionSpec, Scale, function_spec, resolve, support_matrix

OPTIONS = {"metric": "rps", "target": 50.0, "burst": -1, "activation": 3, "buffer": 2, "share": 0.5}


def test_the_defaults_are_those_of_knative():
    scale = Scale()
    assert (scale.metric, scale.target, scale.utilization, scale.burst) == ("concurrency", None, 0.7, 211)
    assert (scale.min, scale.max, scale.initial, scale.activation) == (0, 0, 1, 1)
    assert (scale.window_s, scale.panic_window_s, scale.panic_threshold) == (60, 6, 2.0)
    assert (scale.up_rate, scale.down_rate, scale.delay_s, scale.grace_s) == (1000.0, 2.0, 0, 30)
    assert (scale.buffer, scale.share) == (0, 1.0)  # as if they were not there


def test_options_come_back_from_a_dictionary():
    spec = FunctionSpec(name="f", scale=Scale(**OPTIONS))
    assert function_spec(spec.to_dict(), where="test") == spec
    assert {key: getattr(spec.scale, key) for key in OPTIONS} == OPTIONS


def test_options_are_set_by_file_environment_and_flags():
    specs = resolve(
        {"f": {"scale": Scale(buffer=7)}},
        file={"function": {"f": {"scale": {"metric": "rps", "share": 2, "burst": -1}}}},
        environment={"SKERRY_SET": "f.scale.target=50"},
        flags=["f.scale.activation=3", "f.scale.share=0.5"],
    )
    assert specs["f"].scale == Scale(buffer=7, metric="rps", burst=-1, target=50, activation=3, share=0.5)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("metric", "cpu"),
        ("metric", None),
        ("burst", -2),
        ("burst", 1.5),
        ("activation", 0),
        ("activation", "2"),
        ("buffer", -1),
        ("buffer", True),
        ("share", 0),
        ("share", 101),
        ("share", float("inf")),
        ("target", 0.001),
    ],
)
def test_a_bad_value_is_refused_with_the_option_and_where_it_stands(option, value):
    with pytest.raises(SpecError, match=option) as caught:
        function_spec({"name": "f", "scale": {option: value}}, where="function 'f'")
    assert caught.value.message.startswith("function 'f'.scale")


def test_a_metric_that_is_not_known_is_answered_with_those_that_are():
    with pytest.raises(SpecError, match="one of 'concurrency', 'rps'"):
        Scale(metric="cpu")


def test_every_option_is_honoured_by_the_engine_and_explained():
    for field in dataclasses.fields(Scale):
        if field.init:
            assert field.metadata["help"], field.name
    for platforms in support_matrix(Scale).values():
        assert ENGINE in platforms
        assert RUNTIME not in platforms  # whatever runs the container scales it
