import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.spec import Filter, FunctionSpec, Retry, Timer, Trigger, function_spec
from skerry.spec.cron import Cron


def at(text, zone="UTC"):
    from zoneinfo import ZoneInfo

    return datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("expression", "now", "then"),
    [
        ("0 3 * * *", "2026-01-31 02:59", "2026-01-31 03:00"),
        ("0 3 * * *", "2026-01-31 03:00", "2026-02-01 03:00"),
        ("*/15 9-17 * * mon-fri", "2026-01-30 17:45", "2026-02-02 09:00"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("0 12 13 * fri", "2026-02-13 12:00", "2026-02-20 12:00"),
        ("5,10 * 1 jan *", "2026-01-01 23:10", "2027-01-01 00:05"),
        ("0 0 * * 7", "2026-01-31 00:00", "2026-02-01 00:00"),
        ("30 4/6 * * *", "2026-01-31 04:30", "2026-01-31 10:30"),
        ("@hourly", "2026-01-31 04:30", "2026-01-31 05:00"),
    ],
)
def test_the_next_moment_of_a_cron_expression(expression, now, then):
    assert Cron.parse(expression).after(at(now)) == at(then)


def test_clocks_that_are_set_leave_a_moment_out_and_do_not_double_one():
    spring = Cron.parse("30 2 * * *", zone="Europe/Oslo")
    assert spring.after(at("2026-03-28 12:00", "Europe/Oslo")) == at("2026-03-30 02:30", "Europe/Oslo")
    autumn = spring.after(at("2026-10-24 12:00", "Europe/Oslo"))
    assert spring.after(autumn) == at("2026-10-26 02:30", "Europe/Oslo")


@given(st.integers(0, 2**32), st.integers(0, 59), st.integers(0, 23))
def test_moments_come_after_now_and_are_what_the_expression_says(now_s, minute, hour):
    found = datetime.datetime.fromtimestamp(Cron.parse(f"{minute} {hour} * * *").after(now_s), datetime.UTC)
    assert (found.minute, found.hour, found.second) == (minute, hour, 0)
    assert 0 < found.timestamp() - now_s <= 86_400


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *"),
        *("5-1 * * * *", "a * * * *", "* * 31 2 *", "1,,2 * * * *", "-1 * * * *", "\u0663 * * * *"),
    ],
)
def test_what_is_no_cron_expression_is_refused(expression):
    with pytest.raises(SpecError, match="cron"):
        Cron.parse(expression)


def test_a_zone_that_is_not_there_is_refused():
    for zone in ("Nowhere", "../etc/passwd", ""):
        with pytest.raises(SpecError, match="no such time zone"):
            Timer(cron="0 3 * * *", zone=zone)


@given(st.floats(0, 2**32), st.sampled_from(["100ms", "1s", "30s", "1h", "1d"]))
def test_a_period_gives_whole_multiples_after_now(now_s, every):
    moment_s = Timer(every=every).schedule()(now_s)
    assert moment_s > now_s


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "one of them"),
        ({"every": "1s", "cron": "* * * * *"}, "one of them"),
        ({"every": "10ms"}, "must be from 0.1"),
        ({"every": "60"}, "write a number and a unit"),
    ],
)
def test_what_is_no_timer_is_refused(options, says):
    with pytest.raises(SpecError, match=says):
        Timer(**options)


@pytest.mark.parametrize(
    "options", [{"attempts": -1}, {"jitter": 2.0}, {"delay": "soon"}, {"deadline": "0s"}, {"backoff": "cubic"}]
)
def test_what_is_no_retry_is_refused(options):
    with pytest.raises(SpecError):
        Retry(**options)


def test_triggers_and_timers_survive_the_way_through_the_records():
    spec = FunctionSpec(
        name="f",
        triggers=(
            Trigger(filter=Filter.prefix(type="a") & ~Filter.exact(id="b"), batch=10, retry=Retry(deadline="1h")),
            Trigger(),
        ),
        timers=(Timer(every="30s"), Timer(cron="0 3 * * *", zone="Europe/Oslo")),
    )
    assert function_spec(json.loads(json.dumps(spec.to_dict())), where="records") == spec


def test_an_unknown_key_of_a_trigger_is_named():
    with pytest.raises(SpecError, match=r"records\.triggers\[0\].*'filters'"):
        function_spec({"name": "f", "triggers": [{"filters": []}]}, where="records")
