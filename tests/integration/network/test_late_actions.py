"""What becomes of an action whose time ends before it is applied: the keeper starts slowly, or a process is held up."""

import os
import subprocess
import sys
from ipaddress import ip_network

import pytest

from skerry.errors import PlatformError, StorageError, UserError
from skerry.network.actions import Actor, Journal, Policy, State, journal
from skerry.network.actions.keeper import KeeperHandle
from skerry.network.actions.withdrawal import RETRY_S, withdraw_due
from support.actions import some_action
from support.memory_actuator import MemoryActuator

POLICY = Policy(scope=(ip_network("10.9.0.0/16"),))
CONFIRM_S = 10.0
# A process that is held up while it applies an action.
APPLYING = """
import sys
from pathlib import Path
from skerry.network.actions import Journal, State
from support.actions import some_action
journal = Journal(Path(sys.argv[1]))
journal.open_entry(some_action(), actuator="memory", settings={}, due_s=1010.0, state=State.PENDING, reason="taken")
with journal.applying():
    print("pending", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def network():
    """Nothing here reaches one."""


class HeldUp(MemoryActuator):
    """One that something happens to when it is about to apply an action."""

    def __init__(self):
        super().__init__()
        self.before_apply = lambda action: None

    def apply(self, action, *, timeout_s):
        self.before_apply(action)
        super().apply(action, timeout_s=timeout_s)


class World:
    """An actor and a keeper of one folder, on a clock that the test sets."""

    def __init__(self, folder):
        self.now_s = 1000.0
        self.actuator = HeldUp()
        self.starts_s = []  # how long the keeper takes for each of its next answers
        self.while_arming = []  # what others do while this actor waits for the keeper, the last first
        self.journal = Journal(folder)
        self.actor = self.make_actor(folder)

    def make_actor(self, folder, **options):
        clock = {"clock": lambda: self.now_s}
        return Actor(self.actuator, POLICY, folder, dry_run=False, confirm_s=CONFIRM_S, **clock, **options)

    def arm(self):
        self.now_s += self.starts_s.pop(0) if self.starts_s else 0.0
        self.while_arming.pop()() if self.while_arming else self.keep()

    def keep(self):
        """Have the keeper look."""
        return withdraw_due(self.journal, lambda entry: self.actuator, now_s=self.now_s)

    def states(self):
        return [record.state for record in self.journal.audit()]


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "BUSY_TIMEOUT_S", 0.0)
    world = World(tmp_path)
    monkeypatch.setattr(KeeperHandle, "arm", lambda handle: world.arm())
    yield world
    world.actor.close()
    world.journal.close()


def test_the_start_of_the_keeper_takes_nothing_from_the_time_to_confirm(world):
    world.starts_s = [CONFIRM_S + 1]

    outcome = world.actor.act(some_action())

    assert list(world.actuator.timeouts_s) == [outcome.action.id]
    world.now_s += CONFIRM_S - 1
    world.actor.confirm(outcome.action.id, "verified")
    assert world.states() == [State.PENDING, State.CONFIRMED]


@pytest.mark.parametrize("is_watched", [True, False])
def test_what_is_due_before_it_is_applied_is_not_applied(world, monkeypatch, is_watched):
    world.starts_s = [0.0, CONFIRM_S + 1]  # the keeper has died, and was started again
    if not is_watched:
        monkeypatch.setattr(world, "keep", lambda: None)

    with pytest.raises(PlatformError, match="ended before it was applied"):
        world.actor.act(some_action())

    assert world.actuator.timeouts_s == {}
    assert world.states() == [State.PENDING, State.WITHDRAWN]


def test_while_another_process_applies_an_action_none_is_written_down(world, tmp_path):
    other = Journal(tmp_path)

    with other.applying(), pytest.raises(StorageError, match="is being applied"):
        world.actor.act(some_action())

    other.close()
    assert world.states() == []
    assert world.actor.act(some_action()).state is State.PENDING


def test_an_action_that_becomes_due_at_the_moment_in_which_it_is_applied_is_withdrawn_after_it(world):
    waits = []

    def be_held_up(action):
        world.now_s += CONFIRM_S + 1
        waits.append(world.keep())

    world.actuator.before_apply = be_held_up
    outcome = world.actor.act(some_action())

    assert waits == [RETRY_S]
    assert world.actor.state_of(outcome.action.id) is State.PENDING
    assert list(world.actuator.timeouts_s) == [outcome.action.id]
    assert world.keep() is None
    assert world.actuator.timeouts_s == {}
    assert world.states() == [State.PENDING, State.WITHDRAWN]


def test_nobody_writes_down_the_end_of_an_action_that_is_about_to_be_applied(world, tmp_path):
    other = world.make_actor(tmp_path)

    def withdraw(action):
        with pytest.raises(StorageError, match="is being applied"):
            other.withdraw(action.id, "as a person says")

    world.actuator.before_apply = withdraw
    outcome = world.actor.act(some_action())

    assert world.actor.state_of(outcome.action.id) is State.PENDING
    assert other.withdraw(outcome.action.id, "as a person says")
    other.close()
    assert world.actuator.timeouts_s == {}
    assert world.states() == [State.PENDING, State.WITHDRAWN]


@pytest.mark.parametrize(("decide", "state"), [("approve", State.PENDING), ("withdraw", State.WITHDRAWN)])
def test_who_approves_what_another_person_has_just_decided_on_changes_nothing(world, tmp_path, decide, state):
    late, other = (world.make_actor(tmp_path, approval=True) for _ in range(2))
    asked = late.act(some_action()).action.id
    world.while_arming = [lambda: getattr(other, decide)(asked, "Ada")]

    with pytest.raises(UserError, match=f"is {state}, not waiting"):
        late.approve(asked, "Bob")

    assert world.states() == [State.WAITING, state]
    assert list(world.actuator.timeouts_s) == ([asked] if state is State.PENDING else [])
    late.close()
    other.close()


def test_who_is_killed_while_an_action_is_applied_holds_its_withdrawal_up_no_more(world, tmp_path):
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", APPLYING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables) as process:
        assert process.stdout.readline() == b"pending\n"
        world.now_s += CONFIRM_S + 1
        assert world.keep() == RETRY_S
        process.kill()

    assert world.keep() is None
    assert world.states() == [State.PENDING, State.WITHDRAWN]
