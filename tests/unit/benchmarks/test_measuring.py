"""The control of benchmarks: when the machine was slow, and what that may have held up."""

import time

from benchmarks.measuring import AFTER_S, PROBE_EVERY_S, Probe, SpeedWatch, slow_ratio, slow_spells

USUAL_S, SLOW_S = 0.0001, 0.002


def probes(*slow, count=1000):
    """Return probes of some seconds, those with some numbers slow."""
    return [Probe(number * PROBE_EVERY_S, SLOW_S if number in slow else USUAL_S) for number in range(count)]


def test_the_share_of_slow_moments_is_that_of_the_span_that_was_asked_for():
    found = probes(*range(500, 510))

    assert slow_ratio(found, 0.0, 10.0) == 0.01
    assert slow_ratio(found, 5.0, 5.099) == 1.0
    assert slow_ratio(found, 0.0, 4.0) == 0.0
    assert slow_ratio(found, 20.0, 30.0) is None
    assert slow_ratio([], 0.0, 10.0) is None


def test_what_is_usual_is_told_by_all_probes_and_may_vary():
    varying = [Probe(number * PROBE_EVERY_S, USUAL_S * (1 + number % 3)) for number in range(100)]

    assert slow_ratio(varying, 0.0, 1.0) == 0.0


def test_a_spell_lasts_from_the_probe_before_it_until_some_time_after_it():
    spells = slow_spells(probes(500, 501, 800))

    assert [round(begin_s, 3) for begin_s in spells.begins_s] == [4.99, 7.99]
    assert [spells.touch(at_s) for at_s in (4.98, 4.995, 5.01, 5.02 + AFTER_S, 5.13, 7.9, 8.0, 9.0)] == [
        *[False, True, True, True],
        *[False, False, True, False],
    ]
    assert spells.touch(4.98, before_s=0.02)
    assert not slow_spells(probes()).touch(5.0)


def test_spells_that_follow_each_other_closely_are_one():
    spells = slow_spells(probes(500, 505))

    assert (len(spells.begins_s), round(spells.ends_s[0] - AFTER_S, 3)) == (1, 5.062)


def test_the_machine_is_watched_by_a_process_of_its_own():
    began_s = time.time()
    with SpeedWatch() as watch:
        until = time.monotonic() + 60
        while len(watch.probes()) < 5:
            assert time.monotonic() < until
            time.sleep(0.01)
        found = watch.probes()
        assert 0 <= watch.slow_ratio(began_s, time.time()) <= 1

    assert all(one.at_s >= began_s and one.took_s > 0 for one in found)
