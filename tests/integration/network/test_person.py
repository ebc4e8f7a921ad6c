"""A person at the command line, beside a loop that has asked."""

import json
from ipaddress import ip_network

import pytest

from skerry.cli.main import main
from skerry.network.actions import Actor, NftablesActuator, Path, Policy, Protocol, State
from support.actions import some_action
from support.own_network import own_network, rule_set

POLICY = Policy(
    scope=(ip_network("10.9.0.0/16"),),
    allowed=(ip_network("10.9.7.0/24"),),
    paths=(Path(peer=ip_network("10.9.4.1"), local=ip_network("10.9.3.1"), protocol=Protocol.TCP, local_port=22),),
)


@pytest.fixture
def asking(network, tmp_path):
    """An actor that has asked for two actions, and the id of the first."""
    actuator = NftablesActuator(policy=POLICY, lock_file=tmp_path / "lock")
    actor = Actor(actuator, POLICY, tmp_path, dry_run=False, confirm_s=60, approval=True)
    asked = [actor.act(some_action()).action.id, actor.act(some_action("10.9.3.3")).action.id]
    yield actor, asked
    for entry in actor.journal.in_force():
        actor.withdraw(entry.action.id, "the test has ended")
    actor.close()
    actuator.close()


@pytest.fixture
def command(tmp_path, capfd):
    def run(*words):
        code = main(["network", "actions", *words, "--folder", str(tmp_path)])
        return code, capfd.readouterr()

    return run


def test_what_a_person_approves_is_in_force_as_if_the_loop_had_taken_it(asking, command):
    actor, (first, second) = asking
    before = rule_set()

    code, said = command("approve", first, "--as", "Ada")

    assert code == 0, said.err
    assert "drop tcp SYN to port 80 of 10.9.3.2" in said.err
    assert "10.9.7.0/24" in json.dumps(json.loads(rule_set())).replace('{"addr": "10.9.7.0", "len": 24}', "10.9.7.0/24")
    assert actor.state_of(first) is State.PENDING
    shown = json.loads(command("show", first, "--json")[1].out)
    assert shown["dropped_packets"] == 0
    assert 0 < shown["ends_in_s"] <= 60
    actor.confirm(first, "it drops what it was taken for")
    assert command("withdraw", first, second, "--as", "Ada")[0] == 0
    assert rule_set() == before
    assert [record.reason for record in actor.journal.audit(first)][1:] == [
        "approved by Ada",
        "it drops what it was taken for",
        "withdrawn by Ada",
    ]
    assert actor.state_of(second) is State.WITHDRAWN
    code, said = command("approve", second)
    assert code == 2
    assert "withdrawn by Ada" in said.err


def test_a_command_in_another_network_changes_nothing_there_nor_in_the_journal(asking, command):
    actor, (first, second) = asking
    actor.approve(first, "Ada")

    with own_network():
        elsewhere = rule_set()
        taken_back, taken = command("withdraw", first), command("approve", second)
        assert rule_set() == elsewhere

    for code, said in (taken_back, taken):
        assert code == 1
        assert "another network namespace" in said.err
    assert list(actor.hits()) == [first]
    assert (actor.state_of(first), actor.state_of(second)) == (State.PENDING, State.WAITING)
    assert command("withdraw", first)[0] == 0


def test_what_waits_is_turned_down_from_anywhere(asking, command):
    actor, (first, _) = asking

    with own_network():
        code, said = command("withdraw", first)

    assert code == 0, said.err
    assert actor.state_of(first) is State.WITHDRAWN
