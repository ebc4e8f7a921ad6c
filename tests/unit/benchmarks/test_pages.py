"""Which size of batches the benchmark of pages names, and that it measures every size."""

import pytest

from benchmarks.chains import engine
from benchmarks.pages import APP, find_knee, sweep


@pytest.mark.parametrize(
    ("pages_per_s", "knee"),
    [
        ({1: 100, 2: 190, 4: 340, 8: 460, 16: 495, 32: 500}, 8),  # 92 % of the best, and half of it before
        ({1: 100, 2: 190, 4: 499, 8: 400, 16: 410, 32: 420}, 4),  # more gets less
        ({1: 100, 2: 200, 4: 400}, None),  # it still rises
        ({1: 100, 2: 99, 4: 101}, 1),  # batches bring nothing
        ({4: 100}, 4),
    ],
)
def test_the_knee_is_the_smallest_size_with_nine_tenths_of_the_best_rate(pages_per_s, knee):
    assert find_knee(pages_per_s) == knee


def test_every_size_reads_the_same_and_is_measured(tmp_path):
    with engine(tmp_path, APP.format(sizes=(1, 4))) as (client, _):
        rows = sweep(client, (1, 4), pages=12, runs=2)
    assert [row["max_size"] for row in rows] == [1, 4]
    assert rows[0]["pages_in_a_call"] == pytest.approx(1)
    assert 1 < rows[1]["pages_in_a_call"] <= 4
    for row in rows:
        assert row["pages_per_s"]["n"] == 2
        assert row["latency_ms"]["n"] == 24
        assert 0 < row["latency_ms"]["min"] <= row["latency_p95_ms"] <= row["latency_ms"]["max"] <= row["run_ms"]["max"]
