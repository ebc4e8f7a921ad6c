from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

import pytest

from skerry.errors import EngineNotRunningError, PlatformError
from skerry.network.actions import Flag, Hits, Match, Outcome, State
from skerry.network.detection import (
    BaselineDetector,
    Decision,
    EndRules,
    Kind,
    Panel,
    Reading,
    SlowDetector,
    StrayDetector,
)
from skerry.network.loop import Loop, LoopRules, Step
from skerry.network.verification import EffectVerification, Finding
from support.traffic import (
    VICTIM,
    HeldConnections,
    ack_flood,
    amplification,
    clients,
    few_sources,
    seeded,
    syn_flood,
    window,
)

RULES = LoopRules(ttl_s=20.0, verify_s=2.0, end=EndRules(quiet_s=2.0), relapse_s=100.0)


@dataclass
class FakeActor:
    """Takes every action, and drops what the test says."""

    answer: State = State.PENDING
    counted: bool = True
    states: dict = field(default_factory=dict)
    actions: dict = field(default_factory=dict)
    packets: dict = field(default_factory=dict)
    done: list = field(default_factory=list)

    def recover(self):
        return []

    def act(self, action):
        self.actions[action.id] = action
        self.states[action.id] = self.answer
        self.packets[action.id] = 0
        self.done.append("act")
        return Outcome(action=action, state=self.answer, reason="as the test says")

    def confirm(self, action_id, reason, *, detail=None):
        if self.states[action_id] not in (State.PENDING, State.CONFIRMED):
            raise PlatformError("it is not in force any more")
        self.states[action_id] = State.CONFIRMED
        self.done.append("confirm")

    def withdraw(self, action_id, reason, *, detail=None):
        self.states[action_id] = State.WITHDRAWN
        self.done.append("withdraw")

    def hits(self):
        in_force = (State.PENDING, State.CONFIRMED)
        return {
            name: Hits(packets=count, bytes=0, counted=self.counted)
            for name, count in self.packets.items()
            if self.states[name] in in_force
        }

    def state_of(self, action_id):
        return self.states.get(action_id)


class World:
    """A loop with a clock of its own, and traffic from one window to the next."""

    def __init__(self, actor=None, *, detector=None, **options):
        self.actor = actor or FakeActor()
        self.now_s = 100.0
        self.said = []
        options = {"rules": RULES, "tell": self.said.append, **options}
        self.loop = Loop(self.actor, detector or BaselineDetector(), clock=lambda: self.now_s, **options)

    def pass_time(self, seconds, *parts, dropped_per_s=0):
        for _ in range(int(seconds * 2)):
            self.now_s += 0.5
            for name in self.actor.packets:
                self.actor.packets[name] += dropped_per_s // 2
            self.loop.look([window(*parts, length_s=1.0, ended_s=self.now_s)])
            self.loop.tend()

    def steps(self):
        return [happening.step for happening in self.said]


@pytest.fixture
def world():
    world = World()
    world.pass_time(20, clients())
    assert world.said == []
    return world


def test_an_attack_is_answered_verified_and_let_go_when_it_has_ended(world):
    flood = syn_flood(seeded())

    world.pass_time(5, clients(), flood, dropped_per_s=2000)
    assert world.steps() == [Step.DETECTED, Step.ACTED, Step.VERIFIED]
    world.pass_time(1.5, clients())
    assert world.actor.done == ["act", "confirm"]
    world.pass_time(2, clients())

    assert world.steps()[-1] is Step.WITHDRAWN
    assert world.actor.done == ["act", "confirm", "withdraw"]
    evidence = next(iter(world.actor.actions.values())).evidence
    assert evidence["opening_per_s"] == 2000
    assert evidence["kind"] == "opening"
    assert evidence["features"]["sources"] > 400


def test_a_rule_stays_as_long_as_the_attack_and_is_renewed(world):
    world.pass_time(60, clients(), syn_flood(seeded()), dropped_per_s=2000)

    assert Step.WITHDRAWN not in world.steps()
    assert world.steps().count(Step.RENEWED) >= 3


def test_an_action_without_effect_is_taken_back(world):
    world.pass_time(3, clients(), syn_flood(seeded()), dropped_per_s=0)

    assert world.steps()[:3] == [Step.DETECTED, Step.ACTED, Step.WITHDRAWN]
    assert "not verified within 2 s" in world.said[2].reason


def test_a_service_that_does_not_answer_any_more_fails_the_verification():
    world = World(verification=EffectVerification(probe=lambda: False))
    world.pass_time(20, clients())

    world.pass_time(0.5, clients(), syn_flood(seeded()), dropped_per_s=2000)

    assert world.steps() == [Step.DETECTED, Step.ACTED, Step.WITHDRAWN]
    assert world.said[-1].reason == "the verification has failed"


def test_a_second_attack_of_another_kind_gets_a_rule_of_its_own(world):
    world.pass_time(3, clients(), syn_flood(seeded()), dropped_per_s=2000)

    world.pass_time(3, clients(), syn_flood(seeded()), amplification(seeded()), dropped_per_s=9000)

    matches = [action.match for action in world.actor.actions.values()]
    assert [match.protocol.value for match in matches] == ["tcp", "udp"]


def test_an_attack_during_a_speed_test_is_not_answered_against_the_speed_test(world):
    speed_test = clients(1, packets=1_000_000, length_bytes=1500)

    world.pass_time(2, clients(), speed_test, syn_flood(seeded()), dropped_per_s=2000)

    (action,) = world.actor.actions.values()
    assert action.match.length_bytes == (40, 40)


@pytest.fixture
def watchful():
    """A world whose loop also follows connections."""
    world = World(detector=Panel([BaselineDetector(), StrayDetector(), SlowDetector()]))
    world.pass_time(20, clients())
    assert world.said == []
    return world


def test_connections_that_are_held_open_are_cut_and_their_sources_let_in_when_they_have_gone(watchful):
    held = HeldConnections(400, sources=3)
    for number in range(80):
        watchful.pass_time(0.5, clients(), held.between(number / 2, number / 2 + 0.5), dropped_per_s=40)
    assert watchful.steps()[:3] == [Step.DETECTED, Step.ACTED, Step.VERIFIED]
    assert set(watchful.steps()[3:]) == {Step.RENEWED}
    watchful.pass_time(10, clients())  # as long as it may be silent while it goes on
    assert Step.WITHDRAWN not in watchful.steps()
    watchful.pass_time(8, clients())

    assert watchful.steps()[-1] is Step.WITHDRAWN
    (action,) = watchful.actor.actions.values()
    assert set(action.match.sources) == {ip_network(f"203.0.113.{number}") for number in range(3)}
    assert action.evidence["slow_connections"] > 100


def test_a_flood_of_acknowledgements_is_limited_and_who_was_there_is_spared(watchful):
    flood = ack_flood(seeded(), count=5000)
    watchful.pass_time(10, clients(), flood, dropped_per_s=4500)

    assert watchful.steps() == [Step.DETECTED, Step.ACTED, Step.VERIFIED]
    (action,) = watchful.actor.actions.values()
    assert action.match.flags == Flag.ACK
    assert {network.network_address for network in action.match.spared} == {item.source for item in clients()}
    assert action.evidence["stray_ratio"] > 0.9


def test_what_nobody_counts_is_neither_renewed_nor_taken_for_ended():
    asking = EffectVerification(least_ratio=0.0, probe=lambda: True)
    world = World(FakeActor(counted=False), verification=asking)
    world.pass_time(20, clients())

    world.pass_time(60, clients(), syn_flood(seeded()))

    assert world.steps() == [Step.DETECTED, Step.ACTED, Step.VERIFIED]


def test_an_attack_that_comes_back_is_waited_for_longer(world):
    for _ in range(2):
        world.pass_time(4, clients(), syn_flood(seeded()), dropped_per_s=2000)
        world.pass_time(3, clients())

    assert world.actor.done == ["act", "confirm", "withdraw", "act", "confirm"]
    world.pass_time(2, clients())
    assert world.actor.done[-1] == "withdraw"


@pytest.mark.parametrize("answer", [State.TRIED, State.REFUSED])
def test_what_is_only_tried_or_refused_is_said_once(answer):
    world = World(FakeActor(answer=answer))
    world.pass_time(20, clients())

    world.pass_time(10, clients(), few_sources())

    assert world.steps() == [Step.DETECTED, Step(answer.value)]


def test_a_person_is_asked_once_and_the_approved_action_is_verified():
    world = World(FakeActor(answer=State.WAITING))
    world.pass_time(20, clients())
    world.pass_time(10, clients(), syn_flood(seeded()))
    assert world.steps() == [Step.DETECTED, Step.WAITING]

    for name in world.actor.states:
        world.actor.states[name] = State.PENDING
    world.pass_time(2, clients(), syn_flood(seeded()), dropped_per_s=2000)

    assert world.steps()[2:] == [Step.VERIFIED]


def test_an_action_that_somebody_else_withdrew_is_forgotten_and_taken_again(world):
    flood = syn_flood(seeded())
    world.pass_time(3, clients(), flood, dropped_per_s=2000)
    for name in world.actor.states:
        world.actor.states[name] = State.WITHDRAWN

    world.pass_time(1, clients(), flood, dropped_per_s=2000)

    assert world.steps()[3:6] == [Step.WITHDRAWN, Step.DETECTED, Step.ACTED]


def test_an_action_of_which_nothing_is_left_is_withdrawn_before_it_is_forgotten(world):
    world.pass_time(3, clients(), syn_flood(seeded()), dropped_per_s=2000)
    world.actor.packets.clear()

    world.pass_time(0.5, clients())

    assert world.steps()[3:] == [Step.WITHDRAWN]
    assert set(world.actor.states.values()) == {State.WITHDRAWN}


def test_an_action_that_is_being_approved_elsewhere_is_waited_for(world):
    world.actor.answer = State.WAITING
    world.pass_time(1, clients(), syn_flood(seeded()))
    packets, world.actor.packets = world.actor.packets, {}
    world.actor.states = dict.fromkeys(world.actor.states, State.PENDING)
    world.pass_time(1, clients(), syn_flood(seeded()))
    assert world.actor.done == ["act"]

    world.actor.packets = packets
    world.pass_time(1, clients(), syn_flood(seeded()), dropped_per_s=2000)

    assert world.actor.done == ["act", "confirm"]


def test_the_defence_goes_on_when_nobody_says_what_is_in_force():
    class Deaf(FakeActor):
        deaf = False

        def hits(self):
            if self.deaf:
                raise PlatformError("as the test says")
            return super().hits()

    world = World(Deaf())
    world.pass_time(20, clients())
    world.pass_time(3, clients(), syn_flood(seeded()), dropped_per_s=2000)
    world.actor.deaf = True
    world.pass_time(3, clients(), syn_flood(seeded()), dropped_per_s=2000)
    world.actor.deaf = False
    world.pass_time(4, clients())

    assert world.actor.done == ["act", "confirm", "withdraw"]


def test_where_no_rule_spares_the_rest_nothing_is_done():
    world = World(decide_rule=lambda window, ordinary, kinds: None)
    world.pass_time(20, clients())

    world.pass_time(0.5, clients(), syn_flood(seeded()))

    assert world.steps() == [Step.UNDECIDED]
    assert world.actor.done == []


def test_an_attack_is_told_after_its_rule_was_taken_with_the_moment_in_which_it_was_seen():
    told = []

    class SlowActor(FakeActor):
        def act(self, action):
            world.now_s += 3
            return super().act(action)

    world = World(SlowActor(), tell=lambda what: told.append((what.step, what.at_s, list(world.actor.done))))
    world.pass_time(20, clients())
    world.pass_time(0.5, clients(), syn_flood(seeded()), dropped_per_s=2000)

    assert told == [(step, 120.5, ["act"]) for step in (Step.DETECTED, Step.ACTED)]


def test_the_defence_goes_on_when_nobody_can_be_told(caplog):
    def refuse(happening):
        raise EngineNotRunningError("as the test says")

    world = World(tell=refuse)
    world.pass_time(20, clients())
    world.pass_time(5, clients(), syn_flood(seeded()), dropped_per_s=2000)
    world.pass_time(4, clients())

    assert world.actor.done == ["act", "confirm", "withdraw"]
    assert "as the test says" in caplog.text


def test_a_window_that_cannot_be_judged_is_told_and_the_defence_goes_on(world, caplog):
    nobody = [replace(item, packets=0) for item in clients(1)]
    forged = [replace(item, source=ip_address("::"), packets=5000) for item in few_sources()]
    world.pass_time(0.5, clients(), forged, nobody)
    assert world.steps() == [Step.FAILED]
    assert "a window could not be judged" in world.said[0].reason
    assert str(VICTIM) in caplog.text

    world.pass_time(5, clients(), syn_flood(seeded()), dropped_per_s=2000)

    assert world.steps()[1:] == [Step.DETECTED, Step.ACTED, Step.VERIFIED]


def test_the_loop_goes_round_until_it_is_told_to_stop():
    world = World()
    asked = []

    def sensor(timeout_s):
        asked.append(timeout_s)
        world.now_s += 0.3
        return [window(clients())]

    world.loop.run(sensor, lambda: len(asked) == 3)

    assert asked == [0.25] * 3


def test_what_is_in_force_is_tended_between_many_windows():
    seen = []

    class Slow(BaselineDetector):
        def judge(self, window):
            world.now_s += 0.5
            world.actor.packets = dict.fromkeys(world.actor.packets, 2000 * int(world.now_s))
            seen.append(list(world.actor.done))
            return super().judge(window)

    world = World(detector=Slow())
    world.pass_time(20, clients())
    world.loop.look([window(clients(), syn_flood(seeded()))])
    seen.clear()

    world.loop.run(lambda timeout_s: [window(clients())] * 4, lambda: bool(seen))

    assert seen[0] == ["act"]
    assert seen[-1] == ["act", "confirm"]


class Failing:
    """A sensor that raises what the test says, turn by turn, or gives a window."""

    def __init__(self, world, *turns):
        self._world = world
        self._turns = list(turns)

    def __call__(self, timeout_s):
        self._world.now_s += 0.5
        for name in self._world.actor.packets:
            self._world.actor.packets[name] += 1000
        turn = self._turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return [window(*turn, ended_s=self._world.now_s)]

    def has_ended(self):
        return not self._turns


def test_a_sensor_that_fails_is_told_once_and_asked_again_and_what_is_in_force_is_tended_meanwhile(caplog):
    pauses = []
    world = World(pause=pauses.append)
    world.pass_time(20, clients())
    attack = (clients(), syn_flood(seeded()))
    broken = [OSError("as the test says")] * 7
    sensor = Failing(world, attack, *broken, attack, ValueError("another"), attack, *[(clients(),)] * 6)

    world.loop.run(sensor, sensor.has_ended)

    told = [(happening.step, happening.destination) for happening in world.said]
    about = [(step, VICTIM) for step in (Step.DETECTED, Step.ACTED, Step.VERIFIED)]
    assert told[:4] == [*about[:2], (Step.BLIND, None), about[2]]
    assert told[4:] == [(Step.BLIND, None), (Step.SEEING, None)]
    assert "OSError: as the test says" in world.said[2].reason
    assert world.said[-1].reason.endswith("it has failed 8 times")
    assert pauses == [0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.25, 0.01]
    assert caplog.text.count("the sensor has failed") == 2


def test_a_sensor_that_has_ended_for_good_ends_the_loop():
    world = World()
    gone = PlatformError("the socket is gone", ended=True)

    with pytest.raises(PlatformError, match="the socket is gone"):
        world.loop.run(Failing(world, gone), lambda: False)


def test_a_verification_that_fails_to_say_anything_is_told_once_and_the_defence_goes_on():
    def ask(decision, readings):
        raise TimeoutError("as the test says")

    world = World(verification=ask)
    world.pass_time(20, clients())
    world.pass_time(3, clients(), syn_flood(seeded()))

    assert world.steps() == [Step.DETECTED, Step.ACTED, Step.FAILED]
    assert world.said[-1].reason == "TimeoutError: as the test says"


def test_a_verification_wants_to_see_for_long_enough():
    match = Match(destination=ip_network(VICTIM))
    decision = Decision(
        match=match, limit=None, kind=Kind.OPENING, stopped_ratio=1.0, hurt_ratio=0.0, attack_per_s=1000.0
    )
    verify = EffectVerification()

    assert verify(decision, [Reading(at_s=0.0, packets=0), Reading(at_s=0.1, packets=1000)]) is Finding.OPEN
    assert verify(decision, [Reading(at_s=0.0, packets=0), Reading(at_s=0.5, packets=50)]) is Finding.OPEN
    assert verify(decision, [Reading(at_s=0.0, packets=0), Reading(at_s=0.5, packets=500)]) is Finding.PASSED


def test_what_is_too_slow_to_be_counted_is_verified_by_the_service_alone():
    match = Match(destination=ip_network(VICTIM))
    slow = Decision(match=match, limit=None, kind=Kind.CONNECTED, stopped_ratio=1.0, hurt_ratio=0.0, attack_per_s=40.0)
    readings = [Reading(at_s=0.0, packets=0), Reading(at_s=0.5, packets=0)]

    assert EffectVerification()(slow, readings) is Finding.PASSED
    assert EffectVerification()(slow, readings[:1]) is Finding.OPEN
    assert EffectVerification(probe=lambda: False)(slow, readings) is Finding.FAILED
