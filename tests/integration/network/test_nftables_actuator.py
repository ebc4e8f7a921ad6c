import json
import subprocess
import time
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from skerry.errors import PlatformError
from skerry.network.actions import Action, Hits, Match, NftablesActuator, Path, Policy, Protocol
from skerry.network.actions.nftables import Nftables
from support.actions import actions, some_action
from support.own_network import rule_set

SOMEBODY_ELSES = """
table inet firewall {
    set friends { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 } }
    chain input {
        type filter hook input priority filter; policy accept;
        ip saddr @friends counter accept comment "friends"
        tcp dport { 22, 443 } ct state new limit rate 10/second counter accept
    }
}
table ip nat {
    chain out {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "eth9" masquerade
    }
}
"""
POLICY = Policy(
    scope=(ip_network("10.9.0.0/16"), ip_network("fd00:9::/48")),
    allowed=(ip_network("10.9.7.0/24"),),
    paths=(Path(peer=ip_network("10.9.4.1"), local=ip_network("10.9.3.1"), protocol=Protocol.TCP, local_port=22),),
)


@pytest.fixture
def actuator(network, tmp_path):
    actuator = NftablesActuator(policy=POLICY, lock_file=tmp_path / "lock")
    yield actuator
    actuator.close()


@pytest.fixture
def other_rules(network):
    """Rules that are there already; as `nft` prints them."""
    subprocess.run(["nft", "-f", "-"], input=SOMEBODY_ELSES, text=True, check=True)
    return rule_set()


@pytest.fixture
def listing(network):
    """Lists the rule set, without the one thing that changes by itself: the time that elements have left."""
    nftables = Nftables()

    def listed():
        def clear(pair):
            return {key: value for key, value in pair if key != "expires"}

        return json.loads(json.dumps(nftables.run([{"list": {"ruleset": None}}])), object_pairs_hook=clear)

    yield listed
    nftables.close()


def without(entries, action_id):
    """Return a rule set without an action's rule and set."""
    return [
        entry
        for entry in entries
        if entry.get("set", {}).get("name") != action_id and entry.get("rule", {}).get("comment") != action_id
    ]


# An example talks to the kernel; to shrink one would take minutes.
WITHOUT_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]
steps = st.lists(st.tuples(st.sampled_from(["apply", "apply", "withdraw", "renew"]), st.integers(0, 4)), max_size=8)


@settings(
    max_examples=100,
    deadline=None,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(actions(), min_size=1, max_size=5), steps, st.randoms(use_true_random=False))
def test_the_inverses_of_any_actions_restore_the_rule_set_byte_for_byte(
    actuator, other_rules, listing, chosen, todo, random
):
    for left in actuator.applied():  # by an example that failed
        actuator.withdraw(left)
    before, empty = other_rules, listing()
    in_force: dict[str, Action] = {}

    def withdraw(action_id):
        expected = without(listing(), action_id) if len(in_force) > 1 else empty
        assert actuator.withdraw(action_id)
        del in_force[action_id]
        assert listing() == expected

    for what, number in todo:
        action = chosen[number % len(chosen)]
        if what == "apply" and action.id not in in_force:
            actuator.apply(action, timeout_s=600)
            in_force[action.id] = action
        elif what == "renew" and action.id in in_force:
            actuator.renew(action, timeout_s=1200)
        elif what == "withdraw" and action.id in in_force:
            withdraw(action.id)
    assert set(actuator.applied()) == set(in_force)
    for action_id in random.sample(sorted(in_force), len(in_force)):
        withdraw(action_id)

    assert rule_set() == before


def test_a_check_changes_nothing(actuator, other_rules):
    before = rule_set()

    actuator.check(some_action())

    assert rule_set() == before


def test_what_the_kernel_refuses_leaves_nothing_behind(actuator, other_rules, listing):
    action = some_action()
    actuator.apply(action, timeout_s=60)
    before = listing()

    with pytest.raises(PlatformError, match="nftables refused"):
        actuator.apply(action, timeout_s=60)

    assert listing() == before


def test_an_action_that_nobody_renews_has_no_effect_any_more_without_any_process(actuator):
    forgotten, renewed = some_action(), some_action("10.9.3.0/24")
    actuator.apply(forgotten, timeout_s=1)
    actuator.apply(renewed, timeout_s=1)
    actuator.renew(renewed, timeout_s=600)

    deadline = time.monotonic() + 30
    while forgotten.id in actuator.applied() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert set(actuator.applied()) == {renewed.id}
    assert actuator.withdraw(forgotten.id)
    assert not actuator.withdraw(forgotten.id)


def test_an_action_that_was_withdrawn_cannot_be_renewed(actuator):
    with pytest.raises(PlatformError, match="was withdrawn"):
        actuator.renew(some_action(), timeout_s=5)


def test_another_process_withdraws_by_the_id_alone(actuator, tmp_path):
    action = some_action()
    actuator.apply(action, timeout_s=60)
    assert actuator.applied() == {action.id: Hits(packets=0, bytes=0)}
    other = NftablesActuator(table=actuator.settings()["table"], lock_file=tmp_path / "lock")

    assert other.withdraw(action.id)

    assert "skerry" not in rule_set()
    with pytest.raises(PlatformError, match="withdraw only"):
        other.apply(action, timeout_s=60)
    other.close()


def test_thousands_of_sources_are_one_action(actuator):
    sources = tuple(ip_network(f"198.18.{number // 250}.{number % 250}") for number in range(4000))
    match = Match(destination=ip_network("10.9.3.2"), sources=sources)

    actuator.apply(some_action(match=match), timeout_s=60)

    assert len(actuator.applied()) == 1


def test_a_conversation_that_was_closed_says_so(network):
    nftables = Nftables()
    nftables.close()
    nftables.close()

    with pytest.raises(PlatformError, match="closed"):
        nftables.run([])
