"""The first windows of an attack: what they have is not ordinary, whatever they look like by themselves."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from skerry.network.actions import Flag, Hits, Outcome, State
from skerry.network.defence import make_detector
from skerry.network.detection import BaselineDetector, DecisionRules, decide
from skerry.network.loop import Loop, Step
from support.traffic import VICTIM, client, seeded, syn_flood, window

LENGTH_S = 0.1
PER_S = 2500
SLOW = client(53, packets=6)
QUIET_S = 30.0
PHASES = (0.03, 0.24, 0.51, 0.72, 0.98)  # when, in a window, the flood begins


class Acting:
    """Takes every action; each drops so many packets per second."""

    def __init__(self, dropped_per_s):
        self.actions, self.states = {}, {}
        self.dropped_per_s, self.now_s = dropped_per_s, 0.0
        self.since_s = {}

    def act(self, action):
        self.actions[action.id] = action
        self.states[action.id] = State.PENDING
        self.since_s[action.id] = self.now_s
        return Outcome(action=action, state=State.PENDING, reason="taken")

    def confirm(self, action_id, reason, *, detail=None):
        self.states[action_id] = State.CONFIRMED

    def withdraw(self, action_id, reason, *, detail=None):
        self.states[action_id] = State.WITHDRAWN

    def hits(self):
        return {
            name: Hits(packets=round(self.dropped_per_s * (self.now_s - since_s)), bytes=0)
            for name, since_s in self.since_s.items()
            if self.states[name] in (State.PENDING, State.CONFIRMED)
        }

    def state_of(self, action_id):
        return self.states[action_id]


class Link:
    """Windows of a tenth of a second, of which an empty one is not told, as from an exporter."""

    def __init__(self, seed=0, *, detector=None, dropped_per_s=PER_S, **options):
        self.random = seeded(seed)
        self.actor = Acting(dropped_per_s)
        self.said = []
        self.loop = Loop(
            self.actor,
            detector or make_detector(),
            tell=self.said.append,
            clock=lambda: self.actor.now_s,
            **options,
        )

    def pass_window(self, *parts):
        self.actor.now_s = round(self.actor.now_s + LENGTH_S, 3)
        if any(parts):
            self.loop.look([window(*parts, ended_s=self.actor.now_s, length_s=LENGTH_S)])
        self.loop.tend()

    def pass_time(self, seconds, *, every_s=None, parts=()):
        for number in range(round(seconds / LENGTH_S)):
            is_busy = every_s is not None and number % round(every_s / LENGTH_S) == 0
            self.pass_window(*(parts if is_busy else ()))

    def flood(self, seconds, *parts, phase=0.0, **options):
        """Flood with a packet from each forged source; the first window has only what is left of it."""
        whole = round(PER_S * LENGTH_S)
        for number in range(round(seconds / LENGTH_S)):
            count = round(whole * (1 - phase)) if number == 0 else whole
            self.pass_window(syn_flood(self.random, count=count, packets=1, **options), *parts)

    def matches(self):
        return [action.match for action in self.actor.actions.values()]


def only_drops(link, *, spared=()):
    """Return whether every action drops all forged opening packets, and spares nobody but those."""
    actions = link.actor.actions.values()
    allowed = {item.source for item in spared}
    return bool(actions) and all(
        action.limit is None and {network.network_address for network in action.match.spared} <= allowed
        for action in actions
    )


onsets = pytest.mark.parametrize("phase", PHASES)
seeds = pytest.mark.parametrize("seed", range(3))


@onsets
@seeds
def test_the_first_window_of_a_flood_of_an_idle_destination_is_not_taken_for_ordinary(seed, phase):
    link = Link(seed)
    link.pass_time(QUIET_S)

    link.flood(2, phase=phase)

    assert only_drops(link)
    assert Step.VERIFIED in [happening.step for happening in link.said]


@onsets
@seeds
def test_the_first_window_of_a_flood_does_not_spare_its_sources_beside_a_slow_client(seed, phase):
    link = Link(seed)
    link.pass_time(QUIET_S, every_s=2.0, parts=([SLOW],))

    link.flood(2, phase=phase)

    assert only_drops(link, spared=[SLOW])


@onsets
def test_a_flood_that_rises_over_two_windows_is_not_taken_for_ordinary(phase):
    link = Link()
    link.pass_time(QUIET_S)
    link.pass_window(syn_flood(link.random, count=round(20 * phase) + 1, packets=1))

    link.flood(2, phase=0.7)

    assert only_drops(link)


@onsets
def test_a_rule_that_somebody_has_flushed_is_taken_again_without_sparing_forged_sources(phase):
    link = Link()
    link.pass_time(QUIET_S, every_s=2.0, parts=([SLOW],))
    link.flood(2, phase=phase)
    for name in link.actor.states:
        link.actor.states[name] = State.WITHDRAWN

    link.flood(1, phase=phase)

    assert len(link.actor.actions) >= 2
    assert only_drops(link, spared=[SLOW])


@seeds
def test_a_flood_near_the_threshold_is_not_taken_for_ordinary_where_some_of_its_windows_are_below(seed):
    link = Link(seed, dropped_per_s=1100)
    link.pass_time(QUIET_S, every_s=2.0, parts=([SLOW],))
    link.loop = Loop(link.actor, make_detector(), tell=link.said.append, clock=lambda: link.actor.now_s)  # warms up

    for number in range(80):
        count = link.random.choice([70, 80, 88]) if number < 6 or number % 7 < 3 else link.random.randrange(100, 190)
        link.pass_window(syn_flood(link.random, count=count, packets=1))

    assert only_drops(link)


def burst(random, count=73):
    return syn_flood(random, count=count, packets=1, length_bytes=60)


@pytest.mark.parametrize("quiet_s", [5.0, 20.0, 50.0])
def test_what_came_in_one_window_is_ordinary_at_the_rate_of_the_whole_time(quiet_s):
    link = Link()
    link.pass_window(burst(link.random))
    link.pass_time(quiet_s)

    link.flood(1, length_bytes=60)

    (action,) = link.actor.actions.values()
    assert action.limit.packets_per_s == pytest.approx(2 * 73 / (quiet_s + LENGTH_S), abs=1)
    assert action.match.spared == ()  # seen once


def test_who_was_seen_again_is_spared_and_who_was_seen_once_is_not():
    link = Link()
    opening = [
        replace(client(number, length_bytes=60, packets=1), flags=Flag.SYN, source=IPv4Address("198.51.100.0") + number)
        for number in range(4)
    ]
    link.pass_window(opening)
    link.pass_time(3)
    link.pass_window(opening[:2])
    link.pass_time(3)

    link.flood(1, opening, length_bytes=60)

    spared = {network.network_address for match in link.matches() for network in match.spared}
    assert spared == {item.source for item in opening[:2]}


def test_the_time_of_an_attack_is_not_quiet_time():
    link = Link(detector=BaselineDetector())
    busy = [replace(client(number, length_bytes=60, packets=1), flags=Flag.SYN) for number in range(10)]
    link.pass_time(5, every_s=LENGTH_S, parts=(busy,))
    link.flood(20, busy, length_bytes=60)
    for name in link.actor.states:
        link.actor.states[name] = State.WITHDRAWN
    link.flood(1, busy, length_bytes=60)

    first, second = link.actor.actions.values()
    assert first.limit.packets_per_s == pytest.approx(200, rel=0.1)
    assert second.limit.packets_per_s == pytest.approx(first.limit.packets_per_s, rel=0.1)


def test_the_first_window_of_a_flood_does_not_raise_the_threshold_above_the_flood():
    link = Link()
    link.pass_time(QUIET_S, every_s=1.0, parts=([SLOW],))  # enough windows to count, too few for a robust quantile
    link.pass_window(syn_flood(link.random, count=28, packets=1))

    for _ in range(10):
        link.pass_window(syn_flood(link.random, count=100, packets=1))

    assert Step.ACTED in [happening.step for happening in link.said]


def test_a_rule_is_not_verified_while_more_than_the_threshold_comes_through():
    def decide_narrowly(window, ordinary, verdict):
        found = decide(window, ordinary, kinds=verdict.kinds, rules=DecisionRules())
        return replace(found, match=replace(found.match, length_bytes=(40, 40)))

    link = Link(decide_rule=decide_narrowly)
    for _ in range(70):
        both = [*syn_flood(link.random, count=200, packets=1), *burst(link.random, 150)]
        link.pass_window(both)

    steps = [happening.step for happening in link.said]
    assert Step.VERIFIED not in steps
    assert Step.WITHDRAWN in steps
    withdrawn = next(happening for happening in link.said if happening.step is Step.WITHDRAWN)
    assert "still" in withdrawn.reason
    assert str(VICTIM) in withdrawn.reason


def test_a_rule_against_half_open_connections_is_verified_though_new_clients_come():
    link = Link(dropped_per_s=30)
    for number in range(600):
        opening = [replace(client(number % 200, length_bytes=60, packets=1), flags=Flag.SYN)]
        link.pass_window(syn_flood(link.random, count=20, packets=1), opening, [SLOW])

    steps = [happening.step for happening in link.said]
    assert Step.VERIFIED in steps
    assert Step.WITHDRAWN not in steps


def test_no_limit_lets_pass_what_would_be_an_alarm():
    link = Link(dropped_per_s=4000)
    crowd = [replace(client(number, length_bytes=60, packets=8), flags=Flag.SYN) for number in range(10)]
    link.pass_time(1.5, every_s=LENGTH_S, parts=(crowd,))  # 800 a second, as it warms up

    link.pass_window(burst(link.random, 500), crowd)

    (action,) = link.actor.actions.values()
    assert action.limit.packets_per_s <= 900
