import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.spec import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("1.5m", 90),
        ("250ms", 0.25),
        ("3us", 3e-6),
        ("2h", 7200),
        ("1d", 86_400),
        ("0", 0),
        (" 5 min ", 300),
    ],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text, key="timeout") == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [("200MiB", 200 * 2**20), ("1.5GB", 1_500_000_000), ("64Mi", 64 * 2**20), ("1k", 1000), ("5b", 5), ("0", 0)],
)
def test_sizes_are_read_in_decimal_binary_and_kubernetes_units(text, size):
    assert parse_size(text, key="memory") == size


@pytest.mark.parametrize("text", ["60", "s", "", "60 parsecs", "-5s", "1e3s", "5S", "1,5s", 60, None, "5s5s"])
def test_a_duration_without_a_known_unit_is_refused_with_its_key(text):
    with pytest.raises(SpecError, match="timeout") as caught:
        parse_duration(text, key="timeout")
    assert caught.value.details["field"] == "timeout"


@pytest.mark.parametrize("text", ["200", "MiB", "200 MiX", "-1MB", 200, None])
def test_a_size_without_a_known_unit_is_refused_with_its_key(text):
    with pytest.raises(SpecError, match="memory"):
        parse_size(text, key="memory")


@given(st.text())
def test_any_text_is_read_or_refused(text):
    for parse in (parse_duration, parse_size):
        try:
            value = parse(text, key="k")
        except SpecError:
            continue
        assert value >= 0


@given(st.integers(0, 2**40))
def test_whole_bytes_are_read_exactly(size):
    assert parse_size(f"{size}B", key="memory") == size
