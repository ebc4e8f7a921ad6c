"""What every actuator promises, whatever it acts on."""

import json
from dataclasses import replace
from ipaddress import ip_network

import pytest

from skerry.errors import PlatformError
from skerry.network.actions import Actor, State
from skerry.network.actions.withdrawal import make_actuator
from support.actuators import POLICY, by_source


def test_a_check_has_no_effect(place, actuator):
    before = place.state()

    actuator.check(by_source("198.51.100.1"))

    assert place.state() == before
    assert actuator.applied() == {}


def test_the_inverse_restores_what_was_there_exactly_in_any_order(place, actuator):
    before = place.state()
    actions = [by_source("198.51.100.1", "198.51.100.2"), by_source("203.0.113.1"), by_source("203.0.113.2")]
    for action in actions:
        actuator.apply(action, timeout_s=60)
    assert set(actuator.applied()) == {action.id for action in actions}
    assert place.state() != before

    for action in (actions[1], actions[2], actions[0]):
        assert actuator.withdraw(action.id)
        assert action.id not in actuator.applied()

    assert place.state() == before


def test_an_action_is_renewed_while_it_is_in_force_and_not_after_it(actuator):
    action = by_source("198.51.100.1")
    actuator.apply(action, timeout_s=60)

    actuator.renew(action, timeout_s=600)

    assert set(actuator.applied()) == {action.id}
    assert actuator.withdraw(action.id)
    assert not actuator.withdraw(action.id)
    with pytest.raises(PlatformError, match="was withdrawn"):
        actuator.renew(action, timeout_s=60)


def test_an_action_is_not_applied_twice(actuator):
    action = by_source("198.51.100.1")
    actuator.apply(action, timeout_s=60)

    with pytest.raises(PlatformError):
        actuator.apply(action, timeout_s=60)

    assert set(actuator.applied()) == {action.id}


def test_another_process_withdraws_by_the_id_and_the_settings(place, actuator):
    before = place.state()
    action = by_source("198.51.100.1", "198.51.100.2")
    actuator.apply(action, timeout_s=60)
    other = make_actuator(actuator.name, json.loads(json.dumps(actuator.settings())))

    assert other.withdraw(action.id)

    other.close()
    assert place.state() == before


def test_an_actor_spares_and_refuses_what_the_policy_says(place, actuator, tmp_path):
    before = place.state()
    actor = Actor(actuator, POLICY, tmp_path / "journal", dry_run=False, confirm_s=60)
    elsewhere = replace(by_source("198.51.100.1").match, destination=ip_network("192.0.2.1"))
    assert actor.act(replace(by_source("198.51.100.1"), match=elsewhere)).state is State.REFUSED
    assert place.state() == before

    outcome = actor.act(by_source("198.51.100.1"))
    assert outcome.state is State.PENDING
    assert set(actor.hits()) == {outcome.action.id}
    actor.confirm(outcome.action.id, "verified")
    assert actor.withdraw(outcome.action.id, "the attack has ended")

    # A source that no action may touch is spared where that can be said.
    outcome = actor.act(by_source("198.51.100.1", "10.9.7.1"))
    assert outcome.action.match.spared == POLICY.allowed
    assert actor.withdraw(outcome.action.id, "the test has ended") == (outcome.state is State.PENDING)
    actor.close()
    assert place.state() == before
