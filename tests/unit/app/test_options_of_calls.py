import time

import pytest

import skerry
from skerry.errors import ConfigError, DeadlineExceededError, SpecError
from skerry.payload import encode
from skerry.platforms import CallOptions
from skerry.runtime import context as runtime_context
from skerry.runtime.frames import Frame, Kind

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
app = skerry.App("options")


@app.function(idempotent=True)
def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def platform(in_process):
    return in_process(app)


@pytest.fixture
def answering(monkeypatch):
    """Make this code look like a handler that answers a call with some deadline and trace."""

    def begin(*, time_ms=0, received_s=None, **meta):
        frame = Frame(Kind.CALL, 1, 0, meta, encode(1), time_ms)
        monkeypatch.setattr(runtime_context.PLAIN, "calls", frame)
        monkeypatch.setattr(runtime_context.PLAIN, "received_s", time.monotonic() if received_s is None else received_s)

    return begin


def test_options_go_with_every_call_of_the_bound_copy_only(platform):
    bound = double.at(platform).with_options(timeout="250ms", priority=1, group="a", weight=2.5)

    assert bound.remote(3) == 6
    assert list(bound.map([1, 2])) == [2, 4]
    double.at(platform).remote(4)

    asked = CallOptions(app="options", idempotent=True, timeout_s=0.25, priority=1, group="a", weight=2.5)
    assert platform.options == [asked, asked, asked, CallOptions(app="options", idempotent=True)]


def test_options_add_up_and_none_takes_one_back(platform):
    bound = double.with_options(timeout="1s", priority=1).at(platform).with_options(priority=None, weight=3)

    bound.remote(1)

    assert platform.options == [CallOptions(app="options", idempotent=True, timeout_s=1.0, weight=3)]


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": "0s"},
        {"timeout": "25h"},
        {"timeout": "250"},
        {"timeout": 5},
        {"priority": -1},
        {"priority": 8},
        {"priority": 1.0},
        {"priority": True},
        {"weight": 0},
        {"weight": -1},
        {"weight": float("nan")},
        {"weight": float("inf")},
        {"weight": "2"},
        {"group": ""},
        {"group": " a"},
        {"group": "a\r\nb: c"},
        {"group": "größe"},
        {"group": "a" * 257},
        {"group": 3},
    ],
)
def test_a_wrong_option_is_refused_by_name(options):
    with pytest.raises(SpecError, match=next(iter(options))):
        double.with_options(**options)


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match="deadline"):
        double.with_options(deadline="1s")


@pytest.mark.parametrize("options", [{"timeout": "1s"}, {"priority": 1}, {"group": "a"}, {"weight": 2}])
def test_a_job_takes_none_of_them(platform, options):
    with pytest.raises(ConfigError, match=f"takes no {next(iter(options))}"):
        double.at(platform).with_options(**options).spawn(1)
    assert platform.calls == []


def test_a_call_from_a_handler_goes_on_with_its_trace_and_its_time(platform, answering):
    began_s = time.monotonic()
    answering(time_ms=5000, traceparent=TRACE, tracestate="a=b")

    double.at(platform).remote(1)
    list(double.at(platform).map([1]))

    passed_s = time.monotonic() - began_s
    assert [(o.traceparent, o.tracestate) for o in platform.options] == [(TRACE, "a=b")] * 2
    assert all(5 - passed_s <= o.timeout_s <= 5 for o in platform.options)


def test_a_timeout_of_its_own_wins_over_the_inherited_one(platform, answering):
    answering(time_ms=5000, traceparent=TRACE)

    double.at(platform).with_options(timeout="9s").remote(1)

    assert platform.options == [CallOptions(app="options", idempotent=True, timeout_s=9.0, traceparent=TRACE)]


def test_nothing_is_called_once_the_inherited_deadline_has_passed(platform, answering):
    answering(time_ms=50, received_s=time.monotonic() - 1)

    with pytest.raises(DeadlineExceededError, match="being answered has passed"):
        double.at(platform).remote(1)
    assert platform.calls == []


def test_a_job_from_a_handler_belongs_to_its_trace_and_has_no_deadline(platform, answering):
    answering(time_ms=5000, traceparent=TRACE)

    double.at(platform).spawn(1)

    assert platform.options == [CallOptions(app="options", idempotent=True, traceparent=TRACE)]


def test_the_context_is_part_of_the_face_and_needs_a_call(answering):
    with pytest.raises(ConfigError, match="only inside a call"):
        skerry.context()

    answering(time_ms=5000, attempt=2)

    assert skerry.context().attempt == 2
    assert isinstance(skerry.context(), skerry.Context)
