from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import ConfigError
from skerry.network.actions import Flag
from skerry.network.detection import DecisionRules, Kind, Ordinary, SlowDetector, SlowRules, decide, make_traffic
from support.traffic import HeldConnections, clients, window

STEP_S = 2.0


class Watcher:
    """A detector that is shown one span after the other, and learns from the quiet ones as the loop lets it."""

    def __init__(self, **rules):
        self.detector = SlowDetector(SlowRules(**rules))
        self.now_s = 0.0
        self.verdict = None

    def watch(self, seconds, *held, ordinary=clients, learns=True):
        """Return how many seconds it took until there was an alarm; None without one."""
        began_s = self.now_s
        while self.now_s < began_s + seconds:
            self.now_s += STEP_S
            since_s = self.now_s - began_s
            parts = [item.between(since_s - STEP_S, since_s) for item in held]
            self.window = window(ordinary(), *parts, ended_s=self.now_s, length_s=STEP_S)
            self.verdict = self.detector.judge(self.window)
            if self.verdict.alarm:
                return since_s
            if learns:
                self.detector.learn(self.window)
        return None


@pytest.mark.parametrize(
    "attack",
    [
        HeldConnections(400),
        HeldConnections(400, sources=50, every_s=15.0, packets=1, length_bytes=53),
        HeldConnections(250, every_s=5.0, length_bytes=120),
    ],
    ids=["from one machine", "from many, a byte at a time", "a header line at a time"],
)
def test_many_connections_that_are_held_open_raise_an_alarm(attack):
    watcher = Watcher()
    assert watcher.watch(30) is None

    assert 10 <= watcher.watch(60, attack) <= 40

    assert watcher.verdict.kinds == (Kind.CONNECTED,)
    assert "slow connections" in watcher.verdict.reason


def test_connections_that_are_never_completed_raise_an_alarm_far_below_a_flood():
    watcher = Watcher()
    watcher.watch(30)
    attack = HeldConnections(600, sources=256, every_s=40.0, packets=1, length_bytes=40, completed=False)

    found_s = watcher.watch(40, attack)

    assert found_s is not None
    assert watcher.verdict.kinds == (Kind.OPENING,)
    assert all(item.flags == Flag.SYN for item in watcher.verdict.suspects)


def test_who_holds_them_is_blocked_and_nobody_else():
    watcher = Watcher()
    watcher.watch(30)
    assert watcher.watch(60, HeldConnections(400, sources=4))

    decision = decide(
        watcher.window,
        Ordinary(slices=[*clients(), *watcher.window.slices], length_s=1.0),
        kinds=watcher.verdict.kinds,
        suspects=watcher.verdict.suspects,
        rules=DecisionRules(),
    )

    assert set(decision.match.sources) == {ip_network(f"203.0.113.{number}") for number in range(4)}
    assert (decision.match.destination_ports, decision.limit, decision.match.length_bytes) == ((80,), None, None)
    assert decision.hurt_ratio == 0


def test_so_many_machines_that_no_rule_can_name_them_are_not_answered_with_a_rule_against_all():
    watcher = Watcher()
    watcher.watch(30)
    assert watcher.watch(60, HeldConnections(3000, sources=3000))
    kinds, suspects = watcher.verdict.kinds, watcher.verdict.suspects

    decision = decide(watcher.window, Ordinary(), kinds=kinds, suspects=suspects, rules=DecisionRules())

    assert decision is None


def test_they_are_found_and_named_in_ipv6_as_well():
    detector, victim = SlowDetector(), ip_address("2001:db8::10")
    attack = HeldConnections(400, sources=2)
    for number in range(30):
        said = attack.between(number * STEP_S, (number + 1) * STEP_S)
        slices = [replace(item, source=ip_address(f"2001:db8:1::{int(item.source) & 1}")) for item in said]
        verdict = detector.judge(make_traffic(victim, slices, ended_s=(number + 1) * STEP_S, length_s=STEP_S))
        if verdict.alarm:
            break

    assert {str(item.source) for item in verdict.suspects} == {"2001:db8:1::", "2001:db8:1::1"}


def test_a_rule_that_silences_them_ends_the_alarm():
    watcher = Watcher()
    watcher.watch(30)
    assert watcher.watch(60, HeldConnections(400))

    assert watcher.watch(20) is None


@pytest.mark.parametrize(
    "held",
    [
        HeldConnections(80),
        HeldConnections(300, every_s=1.0, packets=50, length_bytes=1000),
    ],
    ids=["a few idle ones", "busy ones"],
)
def test_ordinary_connections_raise_none(held):
    watcher = Watcher()
    watcher.watch(30)

    assert watcher.watch(60, held, learns=False) is None


def test_a_crowd_that_overruns_its_server_raises_none():
    given_up = HeldConnections(500, sources=200, every_s=30.0, packets=3, length_bytes=60, completed=False)
    watcher = Watcher()
    watcher.watch(30)

    assert watcher.watch(60, given_up, ordinary=lambda: clients(600)) is None


def test_to_a_broker_of_sensors_slow_connections_are_ordinary():
    watcher = Watcher()
    sensors = HeldConnections(190, sources=190, every_s=20.0, port=1883)
    assert watcher.watch(200, sensors) is None
    more = [HeldConnections(190, sources=190, every_s=20.0, port=1883), HeldConnections(150, port=1883)]

    assert watcher.watch(60, *more, learns=False) is None


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 99), st.integers(1, 99), st.floats(2.0, 40.0), st.integers(1, 4), st.integers(40, 1500))
def test_fewer_than_the_least_number_never_raise_an_alarm(count, sources, every_s, packets, length_bytes):
    watcher = Watcher()
    held = HeldConnections(count, sources=sources, every_s=every_s, packets=packets, length_bytes=length_bytes)

    assert watcher.watch(80, held, learns=False) is None


@settings(max_examples=15, deadline=None)
@given(st.integers(250, 600), st.integers(1, 250), st.floats(4.0, 25.0), st.integers(1, 2), st.integers(40, 150))
def test_many_are_always_found(count, sources, every_s, packets, length_bytes):
    watcher = Watcher()
    watcher.watch(30)
    held = HeldConnections(count, sources=sources, every_s=every_s, packets=packets, length_bytes=length_bytes)

    assert watcher.watch(80, held) is not None


def test_a_window_that_is_judged_twice_counts_once():
    watcher = Watcher(most_bytes_per_s=13.0)
    watcher.watch(30)
    for _ in range(30):
        watcher.now_s += STEP_S
        span = HeldConnections(400).between(watcher.now_s - 30 - STEP_S, watcher.now_s - 30)
        seen = window(clients(), span, ended_s=watcher.now_s, length_s=STEP_S)
        once = watcher.detector.judge(seen)
        assert replace(watcher.detector.judge(seen), suspects=()) == replace(once, suspects=())


@pytest.mark.parametrize("wrong", [{"least_connections": 0}, {"idle_s": 5.0}, {"quantile_ratio": 1.0}, {"warm_up": 0}])
def test_rules_without_a_meaning_are_refused(wrong):
    with pytest.raises(ConfigError):
        SlowRules(**wrong)
