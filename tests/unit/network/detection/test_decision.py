from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.network.actions import Action, Flag, Policy, Protocol, find_refusal
from skerry.network.detection import DecisionRules, Kind, Ordinary, Slice, decide, hit_ratio
from support.traffic import VICTIM, amplification, clients, few_sources, seeded, syn_flood, window

RULES = DecisionRules()
ORDINARY = Ordinary(slices=clients(), length_s=1.0)


def decided(*parts, ordinary=ORDINARY, **options):
    return decide(window(*parts), ordinary, rules=RULES, **options)


def hurt(decision, traffic):
    return [item for item in traffic if hit_ratio(decision.match, item)]


def test_forged_opening_packets_without_options_are_dropped_by_their_signature():
    decision = decided(clients(), syn_flood(seeded()))

    match = decision.match
    assert (match.protocol, match.flags, match.length_bytes) == (Protocol.TCP, Flag.SYN, (40, 40))
    assert (match.destination_ports, match.sources) == ((80,), ())
    assert decision.limit is None
    assert not hurt(decision, clients(50))


def test_a_few_real_sources_are_blocked_and_nobody_else():
    decision = decided(clients(), few_sources())

    assert set(decision.match.sources) == {ip_network(item.source) for item in few_sources()}
    assert decision.limit is None
    assert not hurt(decision, clients(50))


def test_amplified_answers_are_dropped_by_the_port_that_they_come_from():
    decision = decided(clients(), amplification(seeded()))

    assert decision.match.source_ports == (53,)
    assert decision.match.length_bytes is not None
    assert decision.kind is Kind.DATAGRAMS
    assert not hurt(decision, clients(50))


def test_what_looks_like_clients_is_limited_and_those_who_were_there_are_spared():
    decision = decided(clients(), syn_flood(seeded(), length_bytes=60))

    assert decision.limit is not None
    assert not hurt(decision, clients())
    assert decision.match.flags is Flag.SYN


def test_later_fragments_are_a_rule_of_their_own():
    pieces = [
        Slice(source=item.source, protocol=Protocol.UDP, length_bytes=1500, packets=40, fragments=True)
        for item in amplification(seeded())
    ]

    decision = decided(clients(), pieces)

    assert (decision.kind, decision.match.fragments, decision.match.source_ports) == (Kind.FRAGMENTS, True, ())


@pytest.mark.parametrize("parts", [[], [clients()]], ids=["nothing", "the ordinary"])
def test_without_too_much_of_anything_there_is_no_rule(parts):
    assert decided(*parts) is None


def test_opening_packets_of_an_unknown_destination_are_not_all_dropped():
    decision = decided(syn_flood(seeded(), length_bytes=60), ordinary=Ordinary())

    assert decision.limit is not None


def test_many_forged_sources_are_decided_on_as_few():
    few = decided(clients(), syn_flood(seeded(), count=500))
    many = decided(clients(), syn_flood(seeded(), count=5000))

    assert few.match == many.match
    assert many.stopped_ratio == pytest.approx(1.0, abs=0.02)


@st.composite
def attacks(draw):
    random = seeded(draw(st.integers(0, 1000)))
    kind = draw(st.sampled_from(["syn", "options", "amplification", "few"]))
    if kind == "amplification":
        return amplification(random, reflectors=draw(st.integers(20, 300)), packets=draw(st.integers(30, 200)))
    if kind == "few":
        return few_sources(sources=draw(st.integers(1, 200)), packets=draw(st.integers(100, 5000)))
    length = 40 if kind == "syn" else draw(st.sampled_from([44, 52, 60]))
    return syn_flood(random, count=draw(st.integers(200, 1500)), packets=draw(st.integers(2, 10)), length_bytes=length)


@settings(max_examples=30, deadline=None)
@given(attacks(), st.integers(0, 30), st.integers(1, 200))
def test_a_rule_stops_the_attack_spares_the_rest_and_is_never_against_the_victim(attack, count, packets):
    before = clients(count, packets=packets)

    decision = decide(window(before, attack), Ordinary(slices=before, length_s=1.0), rules=RULES)

    assert decision is not None
    hit = sum(item.packets * hit_ratio(decision.match, item) for item in attack)
    assert hit >= 0.85 * sum(item.packets for item in attack)
    assert len(hurt(decision, before)) <= 0.02 * len(before)
    assert decision.match.destination == ip_network(VICTIM)
    policy = Policy(scope=(ip_network("10.9.3.0/24"),))
    assert find_refusal(Action(match=decision.match, limit=decision.limit, ttl_s=60), [], policy) is None


def test_a_flood_that_has_only_begun_is_told_from_the_clients_that_open_connections_as_ever():
    opening = [
        Slice(
            source=item.source, protocol=Protocol.TCP, destination_port=80, flags=Flag.SYN, length_bytes=60, packets=1
        )
        for item in clients()[:10]
    ]
    flood = syn_flood(seeded())[:40]

    decision = decided(opening, flood, ordinary=Ordinary(slices=opening * 10, length_s=10.0))

    assert decision.match.length_bytes == (40, 40)
    assert decision.limit is None
