from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import ConfigError
from skerry.network.actions import Flag
from skerry.network.detection import DecisionRules, Kind, Ordinary, StrayDetector, StrayRules, decide, hit_ratio
from support.traffic import VICTIM, ack_flood, client, clients, seeded, syn_flood, window


def warmed(detector=None, *parts, until_s=10):
    """Return a detector that has seen some quiet seconds, and the time."""
    detector = detector or StrayDetector()
    for second in range(until_s):
        quiet = window(clients(), *parts, ended_s=float(second))
        assert not detector.judge(quiet).alarm
        detector.learn(quiet)
    return detector, float(until_s)


def going_on(count=20, *, packets=200):
    """Return the later packets of connections that were opened in an earlier window."""
    return [replace(item, flags=Flag.ACK, length_bytes=52) for item in clients(count, packets=packets)]


def test_a_flood_of_acknowledgements_without_connections_raises_an_alarm():
    detector, now_s = warmed()

    verdict = detector.judge(window(clients(), ack_flood(seeded()), ended_s=now_s))

    assert verdict.alarm
    assert verdict.kinds == (Kind.CONNECTED,)
    assert len(verdict.suspects) == 1000
    assert str(VICTIM) in verdict.reason


def test_answers_to_openings_that_nobody_sent_raise_an_alarm_and_are_stopped_as_such():
    detector, now_s = warmed()
    answers = [replace(item, flags=Flag.SYN | Flag.ACK, source_port=443) for item in ack_flood(seeded())]
    flood = window(clients(), answers, ended_s=now_s)

    verdict = detector.judge(flood)

    assert verdict.alarm
    ordinary = Ordinary(slices=clients(), length_s=1.0)
    decision = decide(flood, ordinary, kinds=verdict.kinds, suspects=verdict.suspects, rules=DecisionRules())
    assert (decision.match.flags, decision.match.source_ports) == (Flag.SYN | Flag.ACK, (443,))
    assert (decision.limit, decision.hurt_ratio) == (None, 0)


def test_answers_to_connections_that_were_opened_from_here_raise_none():
    detector, now_s = warmed()
    for second in range(20):
        answers = [replace(item, flags=Flag.SYN | Flag.ACK, packets=1) for item in clients(30, port=50_000 + second)]
        later = [replace(item, flags=Flag.ACK) for item in clients(30, port=50_000 + second - 1, packets=500)]
        seen = window(answers, later if second else [], ended_s=now_s + second)
        assert not detector.judge(seen).alarm
        detector.learn(seen)


def test_the_packets_of_connections_that_were_opened_raise_none_however_many():
    opened = [client(number, packets=2) for number in range(20)]
    detector, now_s = warmed(None, opened)

    assert not detector.judge(window(going_on(packets=100_000), ended_s=now_s)).alarm


def test_connections_that_were_there_before_it_began_are_known():
    detector = StrayDetector()
    for second in range(10):
        assert not detector.judge(window(going_on(2000, packets=10), ended_s=float(second))).alarm


def test_one_busy_connection_whose_opening_was_missed_is_no_flood():
    detector, now_s = warmed()

    assert not detector.judge(window(going_on(1, packets=1_000_000), ended_s=now_s)).alarm


def test_a_flood_among_much_ordinary_traffic_is_no_alarm_before_it_is_half_of_it():
    detector, now_s = warmed(None, going_on(2000, packets=10))

    few, many = ack_flood(seeded(), count=5000), ack_flood(seeded(), count=25_000)

    assert not detector.judge(window(going_on(2000, packets=10), few, ended_s=now_s)).alarm
    assert detector.judge(window(going_on(2000, packets=10), many, ended_s=now_s + 1)).alarm


def test_where_an_exporter_samples_nothing_is_said():
    detector, now_s = warmed()
    sampled = window(ack_flood(seeded()), ended_s=now_s)

    verdict = detector.judge(replace(sampled, sampling=10.0))

    assert not verdict.alarm
    assert "samples" in verdict.reason


def test_after_a_gap_it_watches_again_before_it_says_something():
    detector, now_s = warmed()

    assert not detector.judge(window(going_on(2000, packets=10), ended_s=now_s + 600)).alarm


def test_a_flood_is_stopped_and_those_who_were_there_are_spared():
    detector, now_s = warmed()
    flood = ack_flood(seeded(), count=3000)
    verdict = detector.judge(window(clients(), flood, ended_s=now_s))

    ordinary = Ordinary(slices=clients(), length_s=1.0)
    seen = window(clients(), flood, ended_s=now_s)
    decision = decide(seen, ordinary, kinds=verdict.kinds, suspects=verdict.suspects, rules=DecisionRules())

    assert decision.match.flags == Flag.ACK
    assert decision.match.destination_ports == (80,)
    assert decision.limit is not None
    assert set(decision.match.spared) == {ip_network(item.source) for item in clients()}
    assert not any(hit_ratio(decision.match, item) for item in clients())
    assert decision.stopped_ratio == pytest.approx(1.0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 500), st.booleans())
def test_whatever_clients_and_forged_openings_do_there_is_no_alarm_and_a_flood_is_always_found(
    seed, count, packets, opening
):
    random = seeded(seed)
    detector = StrayDetector()
    opened: list = []
    for second in range(8):
        fresh = [client(count * second + number, packets=packets) for number in range(count)]
        later = [item for item in opened if random.random() < 0.7]
        flood = syn_flood(random, count=300) if opening else []
        opened = [replace(item, flags=Flag.ACK) for item in fresh]
        quiet = window(fresh, later, flood, ended_s=float(second))
        assert not detector.judge(quiet).alarm
        detector.learn(quiet)

    flood = ack_flood(random, count=max(1000, 50 * count))

    assert detector.judge(window(opened, flood, ended_s=8.0)).alarm


@pytest.mark.parametrize("wrong", [{"least_ratio": 0.0}, {"most_counted": 0.5}, {"idle_s": 1.0}])
def test_rules_without_a_meaning_are_refused(wrong):
    with pytest.raises(ConfigError):
        StrayRules(**wrong)
