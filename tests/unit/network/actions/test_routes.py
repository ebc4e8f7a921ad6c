import json
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import PlatformError
from skerry.network.actions import Action, Flag, Limit, Match, Policy, Protocol, find_refusal
from skerry.network.actions.gobgp.routes import MOST_ROUTES, routes_of
from skerry.network.actions.policy import Path, policy_from_plain, policy_to_plain
from support.actions import matches, some_action

VICTIM = ip_network("10.9.3.2")


@given(matches())
def test_every_source_has_a_route_of_its_own_and_what_is_spared_is_asked_first(match):
    try:
        routes = routes_of(Action(match=match, ttl_s=60))
    except PlatformError:
        return  # it spares a network that one of its sources lies in

    assert len({route.identity for route in routes}) == len(routes)
    assert [route.drops for route in routes] == sorted(route.drops for route in routes)
    assert all(str(match.destination) in route.words for route in routes)
    longest = max((int(str(route.identity[1][1]).partition("/")[2]) for route in routes if match.sources), default=0)
    assert longest <= match.destination.max_prefixlen


def test_a_number_stands_for_the_protocol_and_flags_are_asked_for_exactly():
    (route,) = routes_of(some_action())

    assert " ".join(route.words) == (
        "match destination 10.9.3.2/32 protocol ==6 destination-port ==80 tcp-flags !F&=S&!R&!A packet-length >=40&<=40"
    )
    pings = Match(destination=ip_network("fd00:9::1"), protocol=Protocol.ICMP)
    assert routes_of(Action(match=pings, ttl_s=60))[0].words[-1] == "==58"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"limit": Limit(packets_per_s=10)}, "limits bytes"),
        ({"match": Match(destination=VICTIM, spared=(ip_network("10.9.1.1"),))}, "spares nobody"),
        (
            {
                "match": Match(destination=VICTIM, sources=tuple(ip_network(f"10.8.{n}.0/25") for n in range(65))),
            },
            "65",
        ),
        (
            {
                "match": Match(
                    destination=VICTIM, sources=(ip_network("10.8.1.1"),), spared=(ip_network("10.8.1.0/24"),)
                )
            },
            "cannot spare",
        ),
    ],
    ids=["a limit", "a black hole that spares", "too many sources", "a source inside of what is spared"],
)
def test_what_routes_cannot_say_is_refused(options, reason):
    with pytest.raises(PlatformError, match=reason):
        routes_of(some_action(**options))
    assert MOST_ROUTES == 64


def test_a_black_hole_is_for_one_address_and_only_where_the_policy_allows_it():
    hole = Action(match=Match(destination=VICTIM), ttl_s=60)
    wide = Action(match=Match(destination=ip_network("10.9.3.0/24")), ttl_s=60)
    careful, resolute = (Policy(scope=(ip_network("10.9.0.0/16"),), black_holes=allowed) for allowed in (False, True))

    assert "finishes what the attack began" in find_refusal(hole, [], careful)
    assert find_refusal(hole, [], resolute) is None
    assert "finishes what the attack began" in find_refusal(wide, [], resolute)


paths = st.builds(
    Path,
    peer=st.just(ip_network("192.0.2.0/24")),
    local=st.just(ip_network("10.9.3.1")),
    protocol=st.just(Protocol.TCP),
    peer_port=st.none() | st.integers(1, 65535),
    local_port=st.none() | st.integers(1, 65535),
)
policies = st.builds(
    Policy,
    scope=st.just((ip_network("10.9.0.0/16"), ip_network("fd00:9::/48"))),
    allowed=st.sampled_from([(), (ip_network("10.9.7.0/24"),)]),
    paths=st.lists(paths, max_size=3).map(tuple),
    most_active=st.integers(1, 100),
    longest_ttl_s=st.floats(1, 1e6),
    black_holes=st.booleans(),
)


@given(policies)
def test_a_policy_that_was_written_down_is_the_same_policy(policy):
    assert policy_from_plain(json.loads(json.dumps(policy_to_plain(policy)))) == policy


def test_flags_that_must_not_be_there_are_said_as_well():
    match = Match(destination=VICTIM, protocol=Protocol.TCP, flags=Flag(0))

    assert routes_of(Action(match=match, ttl_s=60))[0].words[-1] == "!F&!S&!R&!A"
