import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.observe import Telemetry

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def read(**variables):
    return Telemetry.read(variables)


def test_nothing_set_means_nothing_traced():
    telemetry = read()
    assert telemetry.traces_url is None
    assert telemetry.warnings == ()
    assert telemetry.resource["service.name"] == "skerry"
    assert (telemetry.follow_parent, telemetry.ratio) == (True, 1.0)
    assert (telemetry.timeout_s, telemetry.schedule_delay_s, telemetry.export_timeout_s) == (10, 5, 30)
    assert (telemetry.max_queue, telemetry.max_batch) == (2048, 512)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({ENDPOINT: "http://collector:4318"}, "http://collector:4318/v1/traces"),
        ({ENDPOINT: "http://collector:4318/"}, "http://collector:4318/v1/traces"),
        ({ENDPOINT: "https://collector/base"}, "https://collector/base/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/as/is", ENDPOINT: "http://other"}, "http://t/as/is"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "", ENDPOINT: "http://other"}, "http://other/v1/traces"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces"),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: "http://other"}, None),
        ({"OTEL_SDK_DISABLED": "true", ENDPOINT: "http://other"}, None),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", ENDPOINT: "http://o"}, "http://o/v1/traces"),
    ],
)
def test_where_spans_go(variables, url):
    telemetry = Telemetry.read(variables)
    assert telemetry.traces_url == url
    assert telemetry.warnings == ()


@pytest.mark.parametrize(
    "variables",
    [
        {ENDPOINT: "collector:4318"},
        {ENDPOINT: "http://"},
        {ENDPOINT: "http://host:port"},
        {ENDPOINT: "http://[::1"},
        {ENDPOINT: "http://host:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_an_endpoint_that_cannot_be_used_is_warned_of(variables):
    telemetry = Telemetry.read(variables)
    assert telemetry.traces_url is None
    assert len(telemetry.warnings) == 1
    assert "OTEL_EXPORTER_OTLP_" in telemetry.warnings[0]


@pytest.mark.parametrize(
    ("sampler", "argument", "follow_parent", "ratio"),
    [
        ("always_on", "0.5", False, 1.0),
        ("always_off", "0.5", False, 0.0),
        ("traceidratio", "0.25", False, 0.25),
        ("parentbased_always_on", "", True, 1.0),
        ("parentbased_always_off", "", True, 0.0),
        ("parentbased_traceidratio", "0.1", True, 0.1),
        ("parentbased_traceidratio", "", True, 1.0),
    ],
)
def test_samplers(sampler, argument, follow_parent, ratio):
    telemetry = read(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=argument)
    assert (telemetry.follow_parent, telemetry.ratio) == (follow_parent, ratio)
    assert telemetry.warnings == ()


@pytest.mark.parametrize("argument", ["2", "-0.1", "half", "nan"])
def test_a_ratio_that_is_none_is_warned_of(argument):
    telemetry = read(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG=argument)
    assert telemetry.ratio == 1.0
    assert telemetry.warnings == (f"OTEL_TRACES_SAMPLER_ARG = {argument!r}: must be a number from 0 to 1; using 1",)


def test_an_unknown_sampler_is_warned_of():
    telemetry = read(OTEL_TRACES_SAMPLER="jaeger_remote")
    assert telemetry.follow_parent
    assert "OTEL_TRACES_SAMPLER = 'jaeger_remote'" in telemetry.warnings[0]


def test_headers_are_decoded_and_stay_out_of_sight():
    telemetry = read(OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20s3cret, x-team = sea,,bad", K_SERVICE="")
    assert dict(telemetry.headers) == {"authorization": "Bearer s3cret", "x-team": "sea"}
    assert "s3cret" not in repr(telemetry)
    assert telemetry.warnings == ("OTEL_EXPORTER_OTLP_HEADERS: a member is not of the form key=value; it is left out",)


def test_headers_for_traces_go_before_those_for_all_and_no_line_is_smuggled_in():
    telemetry = read(OTEL_EXPORTER_OTLP_TRACES_HEADERS="a=1%0d%0ab:2,c=3", OTEL_EXPORTER_OTLP_HEADERS="d=4")
    assert dict(telemetry.headers) == {"c": "3"}
    assert len(telemetry.warnings) == 1


def test_the_service_is_named_by_the_most_special_variable():
    attributes = "service.name=b,deployment.environment.name=edge%20site"
    resource = read(OTEL_SERVICE_NAME="a", OTEL_RESOURCE_ATTRIBUTES=attributes, K_SERVICE="c").resource
    assert resource["service.name"] == "a"
    assert resource["deployment.environment.name"] == "edge site"
    assert read(OTEL_RESOURCE_ATTRIBUTES=attributes, K_SERVICE="c").resource["service.name"] == "b"
    assert read(K_SERVICE="c").resource["service.name"] == "c"


def test_times_and_sizes_are_read_in_their_units():
    telemetry = read(
        OTEL_BSP_SCHEDULE_DELAY="250",
        OTEL_BSP_EXPORT_TIMEOUT="2000",
        OTEL_BSP_MAX_QUEUE_SIZE="10",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="512",
        OTEL_EXPORTER_OTLP_TIMEOUT="1500",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )
    assert (telemetry.schedule_delay_s, telemetry.export_timeout_s, telemetry.timeout_s) == (0.25, 2, 1.5)
    assert (telemetry.max_queue, telemetry.max_batch, telemetry.compress) == (10, 10, True)


NAMES = [
    *(ENDPOINT, "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_BSP_SCHEDULE_DELAY"),
    *("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE"),
]


@given(st.dictionaries(st.sampled_from(NAMES), st.text() | st.from_regex(r"http://[^\s]*")))
def test_no_value_whatever_raises(environ):
    telemetry = Telemetry.read(environ)
    assert 0 <= telemetry.ratio <= 1
    assert telemetry.schedule_delay_s > 0
    assert 1 <= telemetry.max_batch <= telemetry.max_queue


def test_every_variable_that_is_read_is_documented():
    class Recorder(dict):
        def get(self, name, default=None):
            asked.add(name)
            return super().get(name, default)

    asked = set()
    Telemetry.read(Recorder({"OTEL_TRACES_SAMPLER": "traceidratio", ENDPOINT: "http://collector"}))
    page = (Path(__file__).parents[3] / "docs" / "concepts" / "observability.md").read_text()
    general = {name for name in asked if "OTLP_TRACES_" not in name} | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}
    assert general - {"K_SERVICE"} == set(re.findall(r"^\| `(OTEL_\w+)` \|", page, re.MULTILINE))
