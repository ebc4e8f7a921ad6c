"""Whether a soak's figures have grown."""

import pytest

from benchmarks.soak.judge import LIMITS, MIB, judge, slope
from benchmarks.soak.watch import FRONT, WORKER, ZYGOTE, Held, Sample


def held(pid=1, role=FRONT, **figures):
    usual = {"anonymous_bytes": 50 * MIB, "private_bytes": 40 * MIB, "descriptors": 20, "threads": 1}
    return Held(pid=pid, role=role, **{**usual, **figures})


def run(figures_of, *, minutes=30, others=()):
    """Samples every 30 s; ``figures_of`` gives the front's figures at a time in seconds."""
    times = [30.0 * i for i in range(2 * minutes + 1)]
    return [Sample(at_s=at_s, held=[held(**figures_of(at_s)), *others]) for at_s in times]


def verdicts(samples):
    return {(growth.who, growth.what): growth.verdict for growth in judge(samples)}


def test_slope_is_that_of_a_line_whatever_a_few_values_do():
    times = [float(i) for i in range(20)]
    values = [2.0 * time + 5 for time in times]
    values[3], values[11] = 1e6, -1e6
    assert slope(times, values) == pytest.approx(2.0)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_slope_of_too_few_values_is_none(values):
    assert slope([0.0] * len(values), values) == 0.0


def test_what_stays_is_kept():
    assert set(verdicts(run(lambda at_s: {})).values()) == {"kept"}


@pytest.mark.parametrize("what", ["anonymous_bytes", "private_bytes"])
def test_memory_that_grows_beyond_its_limit_is_told(what):
    grows = run(lambda at_s: {what: 50 * MIB + int(at_s * 10_000)})
    assert verdicts(grows)["front 1", what] == "GREW"


def test_a_thread_more_every_ten_minutes_is_told():
    assert verdicts(run(lambda at_s: {"threads": 1 + int(at_s // 600)}))["front 1", "threads"] == "GREW"


def test_what_grows_in_the_warm_up_alone_is_kept():
    samples = run(lambda at_s: {"anonymous_bytes": int(min(at_s, 450) * MIB)})
    assert verdicts(samples)["front 1", "anonymous_bytes"] == "kept"


def test_descriptors_that_come_and_go_are_kept():
    samples = run(lambda at_s: {"descriptors": 20 + int(at_s / 30) % 2 * 50})
    assert verdicts(samples)["front 1", "descriptors"] == "kept"


def test_more_and_more_processes_are_told():
    samples = run(lambda at_s: {})
    more = [
        Sample(at_s=each.at_s, held=[*each.held, *(held(pid=100 + n, role=WORKER) for n in range(i // 10))])
        for i, each in enumerate(samples)
    ]
    assert verdicts(more)["all", "processes"] == "GREW"


def test_a_short_run_is_not_judged():
    assert set(verdicts(run(lambda at_s: {"threads": 1 + int(at_s)}, minutes=5)).values()) == {"not judged"}


def test_only_processes_that_were_there_throughout_are_judged_and_never_the_zygote_s_private_memory():
    samples = run(lambda at_s: {}, others=[held(pid=2, role=ZYGOTE), held(pid=3, role=WORKER)])
    late = Sample(at_s=samples[-1].at_s + 30, held=[held(), held(pid=2, role=ZYGOTE), held(pid=4, role=WORKER)])
    found = verdicts([*samples, late])
    assert {who for who, _ in found} == {"all", "front 1", "zygote 2"}
    assert ("zygote 2", "private_bytes") not in found
    assert {what for who, what in found if who == "front 1"} | {"processes"} == set(LIMITS)
