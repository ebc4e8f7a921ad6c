from ipaddress import ip_network

import pytest

from skerry.network.actions import Actor, Policy, State, actor
from skerry.network.actions.keeper import KeeperHandle
from support.actions import some_action
from support.memory_actuator import MemoryActuator


class OtherActuator(MemoryActuator):
    """One that acts elsewhere."""

    name = "other"

    def __init__(self, place="here"):
        super().__init__()
        self.place = place
        self.closed = False

    def close(self):
        self.closed = True

    def settings(self):
        return {"place": (self.place,)}


@pytest.fixture
def make_actor(tmp_path, monkeypatch):
    """Make actors of one folder, on a clock that stands still, without a second process."""
    monkeypatch.setattr(KeeperHandle, "arm", lambda self: None)
    made = []

    def make(actuator, *, now_s=1000.0):
        policy = Policy(scope=(ip_network("10.9.0.0/16"),))
        made.append(Actor(actuator, policy, tmp_path, dry_run=False, confirm_s=10.0, clock=lambda: now_s))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("later", [MemoryActuator(), OtherActuator("there")], ids=["other-name", "other-settings"])
def test_what_another_actuator_has_applied_is_withdrawn_by_one_like_it(make_actor, monkeypatch, later):
    earlier = OtherActuator()
    action = make_actor(earlier).act(some_action()).action
    asked = []
    monkeypatch.setattr(actor, "make_actuator", lambda *what: asked.append(what) or earlier)

    recovered = make_actor(later, now_s=1011.0)

    assert recovered.recover() == [action.id]
    assert asked == [("other", {"place": ["here"]})]
    assert earlier.timeouts_s == {}
    assert earlier.closed
    assert recovered.state_of(action.id) is State.WITHDRAWN


def test_what_cannot_be_withdrawn_as_its_actuator_is_not_here_stays_on_record(make_actor):
    action = make_actor(OtherActuator()).act(some_action()).action

    recovered = make_actor(MemoryActuator(), now_s=1011.0)

    assert recovered.recover() == []
    assert recovered.state_of(action.id) is State.PENDING


def test_what_an_earlier_process_has_applied_with_the_same_actuator_is_withdrawn_by_this_one(make_actor):
    action = make_actor(OtherActuator()).act(some_action()).action
    same = OtherActuator()
    same.apply(action, timeout_s=10.0)

    assert make_actor(same, now_s=1011.0).recover() == [action.id]
    assert same.timeouts_s == {}


def test_a_dry_run_leaves_the_bounds_of_the_process_that_acts_in_its_folder(make_actor, tmp_path):
    acting = make_actor(MemoryActuator())
    before = acting.journal.bounds()

    Actor(MemoryActuator(), Policy(scope=(ip_network("0.0.0.0/0"),)), tmp_path, confirm_s=60.0).close()

    assert acting.journal.bounds() == before
