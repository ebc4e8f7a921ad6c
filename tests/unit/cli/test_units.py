import pytest

from skerry.cli.units import count, duration, moment


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (0.00012, "120 µs"),
        (0.0015, "1.5 ms"),
        (0.25, "250 ms"),
        (2.345, "2.35 s"),
        (90, "1.5 min"),
        (7200, "2 h"),
    ],
)
def test_durations_have_the_unit_that_suits_them(seconds, text):
    assert duration(seconds) == text


def test_one_is_not_many():
    assert [count(1, "worker"), count(2.5, "worker"), count(0, "entry", "entries")] == [
        "1 worker",
        "2.5 workers",
        "0 entries",
    ]


def test_a_moment_that_has_not_come_is_a_dash():
    assert moment(None) == "-"
    assert len(moment(0.0)) == len("1970-01-01 00:00:00")
