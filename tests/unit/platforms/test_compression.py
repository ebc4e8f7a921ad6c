from hypothesis import given
from hypothesis import strategies as st

from skerry.platforms.engine.compression import LEAST_SAVING_RATIO, Sample, choose

RATES = st.floats(1e3, 1e11)
SAMPLES = st.builds(
    Sample,
    plain_bytes=st.integers(1, 2**20),
    coded_bytes=st.integers(1, 2**20),
    compress_s=st.floats(1e-9, 10.0),
)


def arrival_s(sample, left_bytes, rate, compress):
    if not compress:
        return left_bytes / rate
    return left_bytes / rate * sample.ratio + left_bytes / sample.plain_bytes * sample.compress_s


@given(SAMPLES, st.integers(1, 2**40), RATES)
def test_what_is_chosen_arrives_first_within_the_least_saving(sample, left_bytes, rate):
    chosen = choose(sample, left_bytes=left_bytes, rate_bytes_per_s=rate).compress
    ours, other = (arrival_s(sample, left_bytes, rate, way) for way in (chosen, not chosen))
    assert ours <= other / (1 - LEAST_SAVING_RATIO) * 1.000001


@given(SAMPLES, st.integers(1, 2**40), RATES)
def test_what_does_not_shrink_is_never_compressed(sample, left_bytes, rate):
    grown = Sample(
        plain_bytes=sample.plain_bytes,
        coded_bytes=sample.plain_bytes + sample.coded_bytes,
        compress_s=sample.compress_s,
    )
    assert not choose(grown, left_bytes=left_bytes, rate_bytes_per_s=rate).compress


@given(SAMPLES, st.integers(1, 2**40), RATES, st.floats(1.0, 1e3))
def test_a_slower_link_never_makes_compressing_pay_less(sample, left_bytes, rate, slower):
    if choose(sample, left_bytes=left_bytes, rate_bytes_per_s=rate).compress:
        assert choose(sample, left_bytes=left_bytes, rate_bytes_per_s=rate / slower).compress


@given(SAMPLES, st.integers(1, 2**30), st.integers(1, 1000), RATES)
def test_the_size_of_what_is_left_decides_nothing(sample, left_bytes, times, rate):
    small = choose(sample, left_bytes=left_bytes, rate_bytes_per_s=rate).compress
    large = choose(sample, left_bytes=left_bytes * times, rate_bytes_per_s=rate).compress
    plain, coded = (arrival_s(sample, left_bytes, rate, way) for way in (False, True))
    if abs(coded - plain * (1 - LEAST_SAVING_RATIO)) > 1e-6 * plain:  # but for rounding
        assert small == large


def test_text_over_a_slow_link_is_compressed_and_over_a_fast_one_not():
    text = Sample(plain_bytes=262_144, coded_bytes=100_000, compress_s=0.002)
    assert choose(text, left_bytes=10**8, rate_bytes_per_s=12.5e6).compress
    assert not choose(text, left_bytes=10**8, rate_bytes_per_s=1.25e9).compress
    assert "Mbit/s" in choose(text, left_bytes=10**8, rate_bytes_per_s=12.5e6).why
