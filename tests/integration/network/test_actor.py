import os
import signal
import subprocess
import sys
import time
from ipaddress import ip_network

import pytest

from skerry.errors import UserError
from skerry.network.actions import Actor, Journal, NftablesActuator, Policy, State
from support.actions import some_action
from support.own_network import rule_set

POLICY = Policy(scope=(ip_network("10.9.0.0/16"),), allowed=(ip_network("10.9.7.0/24"),))
# A process that acts, says so, and never confirms.
ACTING = """
import sys, time
from ipaddress import ip_network
from pathlib import Path
from support.actions import some_action
from skerry.network.actions import Actor, NftablesActuator, Policy
folder = Path(sys.argv[1])
policy = Policy(scope=(ip_network("10.9.0.0/16"),))
actor = Actor(NftablesActuator(policy=policy, lock_file=folder / "lock"), policy, folder, dry_run=False, confirm_s=4)
kept = actor.act(some_action("10.9.3.3", ttl_s=3600.0))
actor.confirm(kept.action.id, "verified")
outcome = actor.act(some_action())
print(outcome.action.id, kept.action.id, actor.keeper_pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def actuator(network, tmp_path):
    actuator = NftablesActuator(policy=POLICY, lock_file=tmp_path / "lock")
    yield actuator
    actuator.close()


@pytest.fixture
def make_actor(actuator, tmp_path):
    made = []

    def make(**options):
        made.append(Actor(actuator, POLICY, tmp_path, **options))
        return made[-1]

    yield make
    for actor in made:
        for entry in actor.journal.in_force():
            actor.withdraw(entry.action.id, "the test has ended")
        actor.close()


@pytest.fixture
def acting_process(network, tmp_path):
    command = [sys.executable, "-c", ACTING, str(tmp_path)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        words = process.stdout.readline().split()
        yield process, words[0], words[1], int(words[2])
        process.kill()


def wait_until(condition, *, timeout_s=60):
    ends_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends_at, "it has not happened in time"
        time.sleep(0.02)


def reasons(actor, action_id):
    return [record.reason for record in actor.journal.audit(action_id)]


def test_by_default_nothing_is_done(make_actor):
    before = rule_set()
    actor = make_actor()

    outcome = actor.act(some_action())

    assert outcome.state is State.TRIED
    assert rule_set() == before
    assert actor.journal.audit()[0].detail["evidence"] == {"syn_per_s": 1520}
    assert actor.keeper_pid is None


def test_what_the_policy_forbids_is_refused_and_written_down(make_actor):
    actor = make_actor(dry_run=False)

    outcome = actor.act(some_action("192.0.2.1"))

    assert (outcome.state, actor.journal.audit()[0].state) == (State.REFUSED, State.REFUSED)
    assert "not in the scope" in outcome.reason
    assert "skerry" not in rule_set()


def test_a_confirmed_action_stays_and_is_taken_back_exactly(make_actor):
    before = rule_set()
    actor = make_actor(dry_run=False, confirm_s=60)
    outcome = actor.act(some_action())
    assert outcome.state is State.PENDING

    actor.confirm(outcome.action.id, "the destination is reached", detail={"goodput_ratio": 0.99})

    assert list(actor.hits()) == [outcome.action.id]
    assert actor.withdraw(outcome.action.id, "the attack has ended")
    assert not actor.withdraw(outcome.action.id, "once more")
    assert rule_set() == before
    assert reasons(actor, outcome.action.id) == ["taken", "the destination is reached", "the attack has ended"]
    with pytest.raises(UserError, match="is withdrawn"):
        actor.confirm(outcome.action.id, "too late")


def test_what_nobody_confirms_is_withdrawn_by_the_keeper(make_actor):
    before = rule_set()
    actor = make_actor(dry_run=False, confirm_s=3)

    outcome = actor.act(some_action())

    wait_until(lambda: actor.journal.find(outcome.action.id).state is State.WITHDRAWN)
    assert rule_set() == before
    assert reasons(actor, outcome.action.id) == ["taken", "nobody confirmed it in time"]


def test_a_confirmed_action_is_withdrawn_when_its_time_to_live_has_ended(make_actor):
    before = rule_set()
    actor = make_actor(dry_run=False, confirm_s=60)
    outcome = actor.act(some_action(ttl_s=1.0))

    actor.confirm(outcome.action.id, "verified")

    wait_until(lambda: actor.journal.find(outcome.action.id).state is State.WITHDRAWN)
    assert rule_set() == before
    assert reasons(actor, outcome.action.id)[-1] == "its time to live has ended"


def test_an_unconfirmed_action_is_withdrawn_when_the_acting_process_is_killed(acting_process, tmp_path):
    process, unconfirmed, confirmed, _ = acting_process
    assert unconfirmed in rule_set()

    process.kill()

    journal = Journal(tmp_path)
    wait_until(lambda: journal.find(unconfirmed).state is State.WITHDRAWN)
    assert unconfirmed not in rule_set()
    assert confirmed in rule_set()
    journal.close()
    _end_what_is_left(tmp_path, confirmed)


def test_when_the_keeper_is_killed_as_well_the_kernel_ends_the_effect_and_the_next_actor_cleans_up(
    acting_process, tmp_path, make_actor
):
    process, unconfirmed, confirmed, keeper_pid = acting_process
    os.kill(keeper_pid, signal.SIGKILL)
    process.kill()
    actor = make_actor(dry_run=False)

    wait_until(lambda: unconfirmed not in actor.hits())

    assert confirmed in actor.hits()
    wait_until(lambda: unconfirmed in actor.recover() or unconfirmed not in rule_set())
    assert unconfirmed not in rule_set()
    assert actor.withdraw(confirmed, "the test has ended")
    assert "skerry" not in rule_set()


def test_a_keeper_that_was_killed_is_started_again_before_the_next_action(make_actor):
    actor = make_actor(dry_run=False, confirm_s=60)
    actor.recover()
    first = actor.keeper_pid
    os.kill(first, signal.SIGKILL)

    outcome = actor.act(some_action())

    assert outcome.state is State.PENDING
    assert actor.keeper_pid not in (None, first)


def test_what_no_journal_knows_is_withdrawn_on_recovery(make_actor, actuator):
    stray = some_action()
    actuator.apply(stray, timeout_s=600)

    assert make_actor(dry_run=False).recover() == [stray.id]

    assert "skerry" not in rule_set()


def test_a_dry_run_leaves_the_rules_of_a_defence_with_another_folder(make_actor, actuator):
    theirs = some_action()
    actuator.apply(theirs, timeout_s=600)

    assert make_actor().recover() == []

    assert list(actuator.applied()) == [theirs.id]


def test_a_person_approves(make_actor):
    actor = make_actor(dry_run=False, confirm_s=60, approval=True)
    outcome = actor.act(some_action())
    assert outcome.state is State.WAITING
    assert "skerry" not in rule_set()

    approved = actor.approve(outcome.action.id, "Ada")

    assert approved.state is State.PENDING
    assert list(actor.hits()) == [outcome.action.id]
    assert reasons(actor, outcome.action.id)[-1] == "approved by Ada"
    with pytest.raises(UserError, match="not waiting"):
        actor.approve(outcome.action.id, "Ada")


def test_a_person_may_turn_an_action_down(make_actor):
    actor = make_actor(dry_run=False, approval=True)
    outcome = actor.act(some_action())

    assert actor.withdraw(outcome.action.id, "Ada said no")

    with pytest.raises(UserError, match="is withdrawn"):
        actor.approve(outcome.action.id, "Bob")


def _end_what_is_left(folder, action_id):
    actuator = NftablesActuator(policy=POLICY, lock_file=folder / "lock")
    actor = Actor(actuator, POLICY, folder, dry_run=False)
    actor.withdraw(action_id, "the test has ended")
    actor.close()
    actuator.close()
