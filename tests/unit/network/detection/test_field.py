from dataclasses import replace
from ipaddress import ip_network

import pytest

from skerry.network.actions import Protocol
from skerry.network.detection import Ordinary, Verdict, decide_by_one_field, hit_ratio
from support.traffic import amplification, client, clients, few_sources, seeded, syn_flood, window

ORDINARY = Ordinary(slices=clients(), length_s=1.0)
ALARM = Verdict(alarm=True, score=2.0, reason="too much")


def decided(*parts, ordinary=ORDINARY):
    return decide_by_one_field(window(*parts), ordinary, ALARM)


def test_few_real_sources_are_blocked_whatever_they_send():
    decision = decided(clients(), few_sources())

    match = decision.match
    assert set(match.sources) == {ip_network(item.source) for item in few_sources()}
    assert match == replace(match, protocol=None, flags=None, length_bytes=None, source_ports=(), destination_ports=())
    assert (decision.limit, decision.hurt_ratio) == (None, 0.0)
    assert not [item for item in clients(50) if hit_ratio(match, item)]


def test_a_port_that_nobody_else_comes_from_is_blocked():
    decision = decided(clients(), amplification(seeded(), reflectors=2000))

    assert (decision.match.protocol, decision.match.source_ports) == (Protocol.UDP, (53,))
    assert (decision.match.sources, decision.match.length_bytes) == ((), None)


@pytest.mark.parametrize(
    ("parts", "ordinary"),
    [
        ([clients(), syn_flood(seeded())], ORDINARY),  # forged sources, to the port that clients use
        ([syn_flood(seeded())], Ordinary()),  # nobody knows whether the port is in use
        ([clients()], ORDINARY),
    ],
    ids=["the service's port", "an unknown port", "no flood"],
)
def test_without_a_field_of_their_own_nothing_is_decided(parts, ordinary):
    assert decided(*parts, ordinary=ordinary) is None


def test_sources_that_are_clients_as_well_are_not_blocked():
    attackers = [replace(item, source_port=5000 + number) for number, item in enumerate(few_sources())]
    known = [replace(client(number), source=item.source) for number, item in enumerate(attackers)]

    assert decided(known, attackers, ordinary=Ordinary(slices=known, length_s=1.0)) is None
