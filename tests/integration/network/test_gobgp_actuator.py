import json
import os
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from skerry.errors import PlatformError
from skerry.network.actions import Action, Actor, GobgpActuator, Hits, Journal, Match, Policy, Protocol, State
from skerry.network.actions.gobgp.client import Gobgp
from support.actions import matches, some_action
from support.bgp import bgp_neighbours, missing_for_bgp, our_routes, wait_for
from support.own_network import own_network

POLICY = Policy(scope=(ip_network("10.9.0.0/16"),), allowed=(ip_network("10.9.7.0/24"),), black_holes=True)
SOURCES = (ip_network("198.51.100.1"), ip_network("203.0.113.1"))
TWO_SOURCES = some_action(match=Match(destination=ip_network("10.9.3.2"), sources=SOURCES))
SOMEBODY_ELSES = ["gobgp", "global", "rib", "add", "-a", "ipv4-flowspec", "match", "destination", "10.9.5.5/32"]
# A process that acts, says so, and never confirms.
ACTING = """
import sys, time
from ipaddress import ip_network
from pathlib import Path
from support.actions import some_action
from skerry.network.actions import Actor, GobgpActuator, Policy
folder = Path(sys.argv[1])
policy = Policy(scope=(ip_network("10.9.0.0/16"),))
actor = Actor(GobgpActuator(folder=folder / "routes"), policy, folder, dry_run=False, confirm_s=3)
print(actor.act(some_action()).action.id, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module", autouse=True)
def network():
    """All tests here share a network, and the two daemons in it: a session takes seconds to come about."""
    missing = missing_for_bgp()
    if missing:
        pytest.skip(missing)
    with own_network():
        yield


@pytest.fixture(scope="module")
def router(network, tmp_path_factory):
    with bgp_neighbours(tmp_path_factory.mktemp("bgp")) as router:
        subprocess.run([*SOMEBODY_ELSES, "then", "accept"], check=True)
        yield router


@pytest.fixture
def actuator(router, tmp_path):
    actuator = GobgpActuator(folder=tmp_path / "routes")
    yield actuator
    for left in actuator.applied():
        actuator.withdraw(left)


# An example talks to a daemon; to shrink one would take minutes.
WITHOUT_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]
acts = st.builds(Action, match=matches(), ttl_s=st.integers(60, 3600))


@settings(
    max_examples=10,
    deadline=None,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(acts, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_the_inverses_of_any_actions_restore_the_routes_exactly(actuator, chosen, random):
    for left in actuator.applied():  # by an example that failed
        actuator.withdraw(left)
    before = our_routes()
    in_force = []
    for action in chosen:
        held = our_routes()
        try:
            actuator.apply(action, timeout_s=600)
        except PlatformError:
            assert our_routes() == held
        else:
            in_force.append(action.id)
    assert set(actuator.applied()) == set(in_force)
    for action_id in random.sample(in_force, len(in_force)):
        assert actuator.withdraw(action_id)

    assert our_routes() == before


def test_a_router_hears_of_an_action_and_of_its_end(actuator, router):
    spared = (ip_network("10.9.1.7"),)
    action = some_action(match=replace(some_action().match, spared=spared))
    actuator.check(action)
    wait_for(lambda: list(router.routes("ipv4-flowspec")) == ["[destination: 10.9.5.5/32]"])

    actuator.apply(action, timeout_s=60)

    rule = "[protocol: ==tcp][destination-port: ==80][tcp-flags: !F&=S&!R&!A][packet-length: >=40&<=40]"
    drop, pass_ = f"[destination: 10.9.3.2/32]{rule}", f"[destination: 10.9.3.2/32][source: 10.9.1.7/32]{rule}"
    wait_for(lambda: {drop, pass_} <= set(router.routes("ipv4-flowspec")))
    assert _rate(router.routes("ipv4-flowspec")[drop]) == 0
    assert _rate(router.routes("ipv4-flowspec")[pass_]) is None
    actuator.renew(action, timeout_s=60)
    assert actuator.applied() == {action.id: Hits(packets=0, bytes=0, counted=False)}
    assert actuator.withdraw(action.id)
    assert not actuator.withdraw(action.id)
    wait_for(lambda: list(router.routes("ipv4-flowspec")) == ["[destination: 10.9.5.5/32]"])
    with pytest.raises(PlatformError, match="was withdrawn"):
        actuator.renew(action, timeout_s=60)

    hole = Action(match=Match(destination=ip_network("10.9.3.2")), ttl_s=60)
    actuator.apply(hole, timeout_s=60)
    wait_for(lambda: "10.9.3.2/32" in router.routes("ipv4"))
    assert "4294902426" in json.dumps(router.routes("ipv4"))  # the community BLACKHOLE
    other = GobgpActuator(folder=actuator._folder)
    assert other.withdraw(hole.id)
    wait_for(lambda: not router.routes("ipv4"))


def test_what_is_there_already_is_not_replaced_and_nothing_is_left_behind(actuator, monkeypatch):
    before = our_routes()
    theirs = Action(match=Match(destination=ip_network("10.9.5.5"), protocol=Protocol.TCP), ttl_s=60)
    actuator.apply(theirs, timeout_s=60)
    with pytest.raises(PlatformError, match="already"):
        actuator.apply(Action(match=theirs.match, ttl_s=60), timeout_s=60)
    assert actuator.withdraw(theirs.id)
    monkeypatch.setattr(Gobgp, "add", _refuse_the_second(Gobgp.add))

    with pytest.raises(PlatformError, match="as the test says"):
        actuator.apply(TWO_SOURCES, timeout_s=60)

    assert our_routes() == before
    assert actuator.applied() == {}


def test_who_is_spared_is_spared_until_the_last_rule_is_gone(actuator, monkeypatch):
    deleted, delete = [], Gobgp.delete

    def note(self, family, words):
        deleted.append("10.9.1.7/32" in words)
        delete(self, family, words)

    monkeypatch.setattr(Gobgp, "delete", note)
    action = some_action(match=replace(some_action().match, spared=(ip_network("10.9.1.7"),)))
    actuator.apply(action, timeout_s=60)

    actuator.withdraw(action.id)

    assert deleted == [False, True]


def test_what_is_half_announced_and_cannot_be_taken_back_is_in_force_but_not_renewed(actuator, monkeypatch):
    before = our_routes()
    monkeypatch.setattr(Gobgp, "add", _refuse_the_second(Gobgp.add))
    with monkeypatch.context() as patched:
        patched.setattr(Gobgp, "delete", _refuse)
        with pytest.raises(PlatformError, match="as the test says"):
            actuator.apply(TWO_SOURCES, timeout_s=60)

    assert set(actuator.applied()) == {TWO_SOURCES.id}
    with pytest.raises(PlatformError, match="only 1 of 2 routes"):
        actuator.renew(TWO_SOURCES, timeout_s=60)
    assert actuator.withdraw(TWO_SOURCES.id)
    assert our_routes() == before


def test_the_keeper_takes_back_what_the_acting_process_could_not(actuator, tmp_path, monkeypatch):
    before = our_routes()
    monkeypatch.setattr(Gobgp, "add", _refuse_the_second(Gobgp.add))
    monkeypatch.setattr(Gobgp, "delete", _refuse)
    actor = Actor(actuator, POLICY, tmp_path, dry_run=False, confirm_s=60)

    with pytest.raises(PlatformError, match="as the test says"):
        actor.act(TWO_SOURCES)

    wait_for(lambda: actor.journal.find(TWO_SOURCES.id).state is State.WITHDRAWN)
    assert our_routes() == before
    records = actor.journal.audit(TWO_SOURCES.id)
    assert [record.state for record in records] == [State.PENDING, State.PENDING, State.WITHDRAWN]
    assert "nor can it be taken back now" in records[1].reason
    actor.close()


def test_what_nobody_confirms_is_withdrawn_when_the_acting_process_is_killed(actuator, tmp_path):
    before = our_routes()
    command = [sys.executable, "-c", ACTING, str(tmp_path)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        action_id = process.stdout.readline().strip()
        process.kill()

    journal = Journal(tmp_path)
    wait_for(lambda: journal.find(action_id).state is State.WITHDRAWN)
    assert our_routes() == before
    assert journal.audit(action_id)[-1].reason == "nobody confirmed it in time"
    journal.close()


def test_without_a_daemon_or_a_session_an_action_is_refused_with_what_to_do(actuator, tmp_path, monkeypatch):
    nowhere = GobgpActuator(folder=tmp_path / "routes", port=9)
    with pytest.raises(PlatformError, match="port 9 refused") as refused:
        nowhere.check(some_action())
    assert "gobgpd" in refused.value.details["hint"]
    monkeypatch.setattr(Gobgp, "has_session", lambda self: False)
    with pytest.raises(PlatformError, match="nobody would hear"):
        actuator.check(some_action())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match="apt install gobgpd"):
        GobgpActuator(folder=tmp_path / "routes")


def test_the_actor_refuses_what_routes_cannot_say(actuator, tmp_path):
    actor = Actor(actuator, POLICY, tmp_path, dry_run=False)
    hole = Action(match=Match(destination=ip_network("10.9.3.2")), ttl_s=60)

    outcome = actor.act(hole)

    assert outcome.state is State.REFUSED
    assert "spares nobody" in outcome.reason
    actor.close()


def _rate(paths):
    values = [item for attribute in paths[0]["attrs"] if attribute["type"] == 16 for item in attribute["value"]]
    return values[0]["rate"] if values else None


def _refuse_the_second(add):
    taken = []

    def refuse(self, route, *, next_hop):
        if taken:
            raise PlatformError("as the test says")
        taken.append(route)
        add(self, route, next_hop=next_hop)

    return refuse


def _refuse(self, family, words):
    raise PlatformError("as the test says")
