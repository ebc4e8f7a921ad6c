import pytest

from skerry.cli.units import count, duration, moment, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (4.3e-19, "0 µs"),
        (2e-9, "0.002 µs"),
        (0.00012, "120 µs"),
        (0.0015, "1.5 ms"),
        (0.25, "250 ms"),
        (0.0009996, "1 ms"),
        (0.9996, "1 s"),
        (2.345, "2.35 s"),
        (90, "1.5 min"),
        (7200, "2 h"),
        (3600 * 8760, "8760 h"),
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


def test_many_are_counted_to_the_last_one():
    assert [count(1000, "event"), count(17_943, "packet"), count(999.7, "worker")] == [
        "1000 events",
        "17943 packets",
        "1000 workers",
    ]


def test_a_moment_that_has_not_come_is_a_dash():
    assert moment(None) == "-"
    assert len(moment(0.0)) == len("1970-01-01 00:00:00")


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (2**20 - 1, "1 MiB"),
        (100 * 2**20, "100 MiB"),
        (3 * 2**30, "3 GiB"),
        (5000 * 2**30, "4.88 TiB"),
    ],
)
def test_sizes_have_the_unit_that_suits_them(size_bytes, text):
    assert size(size_bytes) == text
