from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.network.actions import Match, Path, Policy, Protocol, find_refusal, spare
from support.actions import Packet, actions, may_match, some_action

POLICY = Policy(
    scope=(ip_network("10.9.0.0/16"), ip_network("fd00:9::/48")),
    allowed=(ip_network("10.9.7.0/24"), ip_network("fd00:9::7:0/112")),
    paths=(
        Path(peer=ip_network("10.9.4.1"), local=ip_network("10.9.3.1"), protocol=Protocol.TCP, local_port=22),
        Path(peer=ip_network("10.9.4.53"), local=ip_network("0.0.0.0/0"), protocol=Protocol.UDP, peer_port=53),
        Path(peer=ip_network("fd00:9::1"), local=ip_network("::/0")),
    ),
)


def inside(network):
    return st.integers(0, min(network.num_addresses - 1, 2**64)).map(lambda number: network.network_address + number)


@st.composite
def protected_packets(draw):
    kind = draw(st.sampled_from(["path", "from the allow-list", "to the allow-list"]))
    protocol = draw(st.sampled_from([*Protocol]))
    ports = {"source_port": draw(st.integers(1, 65535)), "destination_port": draw(st.integers(1, 65535))}
    if kind == "path":
        path = draw(st.sampled_from(POLICY.paths))
        source, destination, protocol = draw(inside(path.peer)), draw(inside(path.local)), path.protocol or protocol
        ports["source_port"] = path.peer_port or ports["source_port"]
        ports["destination_port"] = path.local_port or ports["destination_port"]
    else:
        network = draw(st.sampled_from(POLICY.allowed))
        other = draw(inside(next(scope for scope in POLICY.scope if scope.version == network.version)))
        source, destination = draw(inside(network)), other
        if kind == "to the allow-list":
            source, destination = destination, source
    return Packet(source=source, destination=destination, protocol=protocol, **ports)


@given(actions(narrow=False), protected_packets())
def test_no_action_that_is_not_refused_can_hit_what_is_protected(action, packet):
    spared = replace(action, match=spare(action.match, POLICY))

    assert find_refusal(spared, [], POLICY) is not None or not may_match(spared.match, packet)


@settings(max_examples=50)
@given(actions(narrow=False))
def test_sparing_only_takes_sources_away_and_needs_no_second_time(action):
    spared = spare(action.match, POLICY)

    assert replace(spared, spared=action.match.spared) == action.match
    assert spared.spared[: len(action.match.spared)] == action.match.spared
    assert spare(spared, POLICY) == spared


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("192.0.2.1", "not in the scope"),
        ("10.9.0.0/16", "wider than /24"),
        ("10.9.7.9", "is on the allow-list"),
    ],
)
def test_an_action_outside_its_bounds_is_refused_with_the_reason(destination, reason):
    assert reason in (find_refusal(some_action(destination), [], POLICY) or "")


def test_taking_everything_from_the_victim_is_refused():
    action = some_action(match=Match(destination=ip_network("10.9.3.2")))

    assert "finishes what the attack began" in (find_refusal(action, [], POLICY) or "")


def test_the_loopback_is_never_touched():
    policy = replace(POLICY, scope=(ip_network("127.0.0.0/8"),))

    assert "loopback" in (find_refusal(some_action("127.0.0.1"), [], policy) or "")


def test_actions_are_counted_and_their_time_is_bounded():
    action = some_action()
    spared = replace(action, match=spare(action.match, POLICY))

    assert find_refusal(spared, [], POLICY) is None
    assert "already" in (find_refusal(spared, [some_action()] * 32, POLICY) or "")
    assert "already" in (find_refusal(spared, [spared], POLICY) or "")
    assert "ttl_s" in (find_refusal(replace(spared, ttl_s=7200), [], POLICY) or "")


def test_a_path_leads_between_addresses_of_one_version():
    with pytest.raises(SpecError, match="one IP version"):
        Path(peer=ip_network("10.9.4.1"), local=ip_network("::/0"))


def test_a_match_that_no_packet_can_have_is_refused():
    with pytest.raises(SpecError, match="protocol=tcp"):
        Match(destination=ip_network("10.9.3.2"), source_ports=(53,))
    with pytest.raises(SpecError, match="IP version"):
        Match(destination=ip_network("10.9.3.2"), sources=(ip_network("::1"),))
    with pytest.raises(SpecError, match="no ports"):
        Match(destination=ip_network("10.9.3.2"), protocol=Protocol.UDP, source_ports=(53,), fragments=True)
    assert ip_address("10.9.3.2") in Match(destination=ip_network("10.9.3.2")).destination
