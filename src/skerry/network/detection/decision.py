"""The narrowest rule that stops an attack and spares the rest: pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import combinations
from typing import Any

from skerry.network.actions import Address, Flag, Limit, Match, Network, Protocol
from skerry.network.detection.hitting import Hitter
from skerry.network.detection.kind import FLOODS, Kind, kind_of
from skerry.network.detection.traffic import Slice, Traffic

# Slices that rules are tried on; a flood with forged sources has one for each packet.
MOST_WEIGHED = 400
# Suspect connections to one port, from which on a source's other connections there are not ordinary either.
MOST_HELD = 10
_HANDSHAKE = Flag.SYN | Flag.ACK
_ALONE = (Flag.RST, Flag.ACK, Flag.FIN, _HANDSHAKE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRules:
    """What a decision is measured by.

    Attributes:
        least_stopped_ratio: Share of what is too much that a rule has to stop, in (0, 1].
        most_hurt_ratio: Share of the ordinary traffic that may be dropped; where it would be more, it is limited.
        most_sources: Sources that a rule may name.
        least_packets_per_source: Packets of one source in a window, below which it is not taken for a real one.
        most_ports: Ports that a rule may name.
        headroom: How many times the ordinary rate passes a limit.
    """

    least_stopped_ratio: float = 0.9
    most_hurt_ratio: float = 0.02
    most_sources: int = 256
    least_packets_per_source: float = 20.0
    most_ports: int = 4
    headroom: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordinary:
    """The traffic to a destination before the attack.

    Attributes:
        slices: What was seen.
        length_s: In how many seconds, with those in which nothing came.
        lasting: Sources that were there for longer than a burst, and may be spared; None for all.
    """

    slices: Sequence[Slice] = ()
    length_s: float = 1.0
    lasting: Collection[Address] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A rule, and what is expected of it.

    Attributes:
        match: Which packets.
        limit: How many of them pass; None for none.
        kind: What the flood is made of.
        stopped_ratio: Share of what is too much that it stops.
        hurt_ratio: Share of the ordinary traffic that it would hit.
        attack_per_s: Packets that are too much.
    """

    match: Match
    limit: Limit | None
    kind: Kind
    stopped_ratio: float
    hurt_ratio: float
    attack_per_s: float

    def evidence(self) -> dict[str, Any]:
        """Return the numbers, for the audit."""
        return {
            "kind": self.kind.value,
            "stopped_ratio": round(self.stopped_ratio, 4),
            "hurt_ratio": round(self.hurt_ratio, 4),
            "attack_per_s": round(self.attack_per_s, 1),
        }


def excess_by_kind(window: Traffic, ordinary: Ordinary) -> dict[Kind, float]:
    """Return how many packets per second of each kind are above what is ordinary."""
    rates: Counter[Kind] = Counter()
    for item in window.slices:
        rates[kind_of(item)] += item.packets / window.length_s  # type: ignore[assignment]  # a Counter of rates
    for item in ordinary.slices:
        rates[kind_of(item)] -= item.packets / ordinary.length_s  # type: ignore[assignment]  # a Counter of rates
    return dict(rates)


def decide(
    window: Traffic,
    ordinary: Ordinary,
    *,
    kinds: Collection[Kind] = FLOODS,
    suspects: Sequence[Slice] = (),
    score: float | None = None,
    rules: DecisionRules,
) -> Decision | None:
    """Return the narrowest rule that stops a flood, or None when there is none that spares the destination.

    Every rule says what the flood is made of. It is narrowed by what the flood's packets have in common: ports, length,
    and sources where those are few and send much. Of the rules that stop enough, one is chosen that hits least of the
    ordinary traffic, and of those the narrowest. Where it would hit too much, it lets pass what is ordinary, and spares
    the sources that were there before, for longer than a burst.

    Args:
        window: The traffic of now, without what rules in force drop.
        ordinary: The traffic of before.
        kinds: What the flood may be made of; of several, that which is most above the ordinary.
        suspects: The flood's packets, where they are known; all of them are too much then.
        score: How many times what an alarm begins at this is: without suspects no limit is above that, unless it is
            ordinary.
        rules: What the decision is measured by.
    """
    flood = _flood(window, ordinary, kinds, suspects)
    if flood is None:
        return None
    before = replace(ordinary, slices=_thin(_without(ordinary.slices, suspects)))
    weighed = replace(flood, slices=_thin(flood.slices))
    beyond = replace(weighed, slices=_beyond(weighed, window, before)) if flood.mixed else weighed
    options = [
        _weigh(match, weighed, window, before)
        for match in _candidates(window.destination, beyond, _real_sources(flood.slices, rules), rules)
        if match.narrowed
    ]
    enough = [option for option in options if option.stopped_ratio >= rules.least_stopped_ratio]
    if not enough:
        return None
    # `max` takes the first of equals, and candidates come with the narrowest first.
    best = max(enough, key=lambda option: -round(option.hurt_ratio, 3))
    if best.hurt_ratio <= rules.most_hurt_ratio:
        return best
    per_s = sum(item.packets for item in flood.slices) / window.length_s
    alarm_per_s = per_s / score if score and flood.mixed else math.inf  # of suspects the score is no rate
    soft = _soften(best, before, rules, alarm_per_s=alarm_per_s)
    # Of a flood whose packets are known, it is known as well that a limit above what it sends stops nothing.
    limit = soft.limit
    if not flood.mixed and limit is not None and not limit.per_source and limit.packets_per_s >= flood.excess_per_s:
        return None
    return soft


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flood:
    """What is to be stopped.

    Attributes:
        kind: What it is made of.
        slices: Its packets.
        excess_per_s: How many are too much.
        mixed: Whether ordinary packets of its kind are among them.
        flags: Of packets of connections, the flags that each of them has; None where they differ.
    """

    kind: Kind
    slices: Sequence[Slice]
    excess_per_s: float
    mixed: bool
    flags: Flag | None = None


def _flood(window: Traffic, ordinary: Ordinary, kinds: Collection[Kind], suspects: Sequence[Slice]) -> _Flood | None:
    excess = excess_by_kind(replace(window, slices=suspects), Ordinary()) if suspects else {}
    excess = excess or excess_by_kind(window, ordinary)
    kind = max((item for item in excess if item in kinds), key=lambda item: excess[item], default=None)
    if kind is None or excess[kind] <= 0:
        return None
    slices = [item for item in suspects or window.slices if kind_of(item) is kind]
    flags = _flags(slices) if kind is Kind.CONNECTED else None
    return _Flood(kind=kind, slices=slices, excess_per_s=excess[kind], mixed=not suspects, flags=flags)


def _flags(flood: Sequence[Slice]) -> Flag | None:
    # Several packets that have opening and acknowledgement together need not have both each.
    flags = _common([(None if _is_answered(item) else item.flags, item.packets) for item in flood], most=1)
    # A rule about the flags of a connection's later packets is a rule about one flag, about answers, or about none.
    return flags[0] if flags and flags[0] in _ALONE else None


def _without(ordinary: Sequence[Slice], suspects: Sequence[Slice]) -> Sequence[Slice]:
    """Return the ordinary traffic without connections of a flood that began before it was found."""
    if not suspects:
        return ordinary
    accused = {(item.source, item.source_port, item.destination_port) for item in suspects}
    held = Counter((item.source, item.destination_port) for item in suspects if _is_answered(item))
    return [
        item
        for item in ordinary
        if (item.source, item.source_port, item.destination_port) not in accused
        and held[item.source, item.destination_port] < MOST_HELD
    ]


def _is_answered(item: Slice) -> bool:
    # Who has completed a connection was sent the answer to its opening: nobody's forgery.
    return item.flags is not None and item.flags & _HANDSHAKE == _HANDSHAKE and not item.answers_only


def _beyond(flood: _Flood, window: Traffic, ordinary: Ordinary) -> Sequence[Slice]:
    """Return the flood without as many packets of each length and port as are ordinary."""
    expected: Counter[tuple[int, int]] = Counter()
    for item in (item for item in ordinary.slices if kind_of(item) is flood.kind):
        expected[item.length_bytes, item.destination_port] += (  # type: ignore[assignment]  # a Counter of rates
            item.packets * window.length_s / ordinary.length_s
        )
    found: Counter[tuple[int, int]] = Counter()
    for item in flood.slices:
        found[item.length_bytes, item.destination_port] += item.packets  # type: ignore[assignment]  # as above
    share = {key: max(0.0, 1 - expected[key] / packets) for key, packets in found.items() if packets}
    kept = [
        replace(item, packets=item.packets * share[item.length_bytes, item.destination_port])
        for item in flood.slices
        if share.get((item.length_bytes, item.destination_port))
    ]
    return kept or flood.slices


def _candidates(
    destination: Address, flood: _Flood, sources: tuple[Network, ...], rules: DecisionRules
) -> Iterator[Match]:
    base = _base(destination, flood)
    narrowings = _narrowings(flood.kind, flood.slices, sources, rules)
    for count in range(len(narrowings), -1, -1):
        for chosen in combinations(narrowings, count):
            # All packets of connections, whoever sends them, are all that the destination is there for.
            if flood.kind is not Kind.CONNECTED or base.flags is not None or "sources" in chosen:
                yield replace(base, **{name: narrowings[name] for name in chosen})


def _base(destination: Address, flood: _Flood) -> Match:
    kind = flood.kind
    everything = Match(destination=ip_network(destination))
    if kind is Kind.FRAGMENTS:
        return replace(everything, fragments=destination.version == 4)
    if kind is Kind.OPENING:
        return replace(everything, protocol=Protocol.TCP, flags=Flag.SYN)
    if kind is Kind.CONNECTED:
        return replace(everything, protocol=Protocol.TCP, flags=flood.flags)
    protocols = _common([(item.protocol, item.packets) for item in flood.slices], most=1)
    return replace(everything, protocol=protocols[0]) if protocols else everything


def _narrowings(
    kind: Kind, flood: Sequence[Slice], sources: tuple[Network, ...], rules: DecisionRules
) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    if kind in (Kind.OPENING, Kind.DATAGRAMS, Kind.CONNECTED):
        found["source_ports"] = _common([(item.source_port, item.packets) for item in flood], most=rules.most_ports)
        found["destination_ports"] = _common(
            [(item.destination_port, item.packets) for item in flood], most=rules.most_ports
        )
    if kind is not Kind.CONNECTED:  # packets of a connection have all lengths, whatever the mean is
        found["length_bytes"] = _length_range(flood, rules.least_stopped_ratio)
    found["sources"] = sources
    return {name: value for name, value in found.items() if value}


def _common(weighted: Sequence[tuple[Any, float]], *, most: int, ratio: float = 0.95) -> tuple[Any, ...]:
    """Return the few values that nearly all packets have; empty when there are no such few."""
    counts: dict[Hashable, float] = {}
    for value, weight in weighted:
        counts[value] = counts.get(value, 0.0) + weight
    wanted = ratio * sum(counts.values())
    chosen: list[Any] = []
    for value in nlargest(most, counts, key=lambda item: counts[item]):
        chosen.append(value)
        wanted -= counts[value]
        if wanted <= 0:
            return tuple(chosen)
    return ()


def _length_range(flood: Sequence[Slice], ratio: float) -> tuple[int, int] | None:
    """Return the narrowest range of lengths that holds nearly all packets."""
    counts: dict[int, float] = {}
    for item in flood:
        counts[item.length_bytes] = counts.get(item.length_bytes, 0.0) + item.packets
    lengths = sorted(counts)
    wanted = ratio * sum(counts.values())
    best: tuple[int, int] | None = None
    first, held = 0, 0.0
    for length in lengths:
        held += counts[length]
        while held - counts[lengths[first]] >= wanted:
            held -= counts[lengths[first]]
            first += 1
        if held >= wanted and (best is None or length - lengths[first] < best[1] - best[0]):
            best = (lengths[first], length)
    return best


def _real_sources(flood: Sequence[Slice], rules: DecisionRules) -> tuple[Network, ...]:
    packets: dict[int, float] = {}  # numbers: a dictionary of addresses takes three times as long
    answered: set[int] = set()
    for item in flood:
        source = int(item.source)
        packets[source] = packets.get(source, 0.0) + item.packets
        if _is_answered(item):
            answered.add(source)
    chosen = _common(list(packets.items()), most=rules.most_sources)
    doubtful = (source for source in chosen if source not in answered)
    if not chosen or any(packets[source] < rules.least_packets_per_source for source in doubtful):
        return ()
    make = IPv4Network if flood[0].source.version == 4 else IPv6Network
    return tuple(make(source) for source in chosen)


def _weigh(match: Match, flood: _Flood, window: Traffic, ordinary: Ordinary) -> Decision:
    ratio = Hitter(match).ratio
    before = ordinary.slices or (_unknown_client(match),)
    total = sum(item.packets for item in before)
    hurt = sum(item.packets * ratio(item) for item in before)
    among = [item for item in ordinary.slices if kind_of(item) is flood.kind] if flood.mixed else []
    usual_per_s = sum(item.packets * ratio(item) for item in among) / ordinary.length_s
    hit_per_s = sum(item.packets * ratio(item) for item in flood.slices) / window.length_s
    return Decision(
        match=match,
        limit=None,
        kind=flood.kind,
        stopped_ratio=max(0.0, min((hit_per_s - usual_per_s) / flood.excess_per_s, 1.0)),
        hurt_ratio=hurt / total if total else 0.0,
        attack_per_s=flood.excess_per_s,
    )


def _thin(slices: Sequence[Slice]) -> Sequence[Slice]:
    """Return slices that stand for many more: the largest, and of the rest some with a weight."""
    if len(slices) <= MOST_WEIGHED:
        return slices
    ordered = sorted(slices, key=lambda item: -item.packets)
    half = MOST_WEIGHED // 2
    rest = ordered[half:]
    step = -(-len(rest) // half)
    chosen = rest[::step]
    weight = sum(item.packets for item in rest) / sum(item.packets for item in chosen)
    return [*ordered[:half], *(replace(item, packets=item.packets * weight) for item in chosen)]


def _unknown_client(match: Match) -> Slice:
    """Return what is taken for ordinary where nothing was seen before: somebody who opens a connection to the port."""
    return Slice(
        source=match.destination.network_address,
        protocol=Protocol.TCP,
        destination_port=match.destination_ports[0] if match.destination_ports else 0,
        flags=Flag.SYN | Flag.ACK | Flag.FIN,
        length_bytes=400,
        packets=10.0,
    )


def _soften(best: Decision, ordinary: Ordinary, rules: DecisionRules, *, alarm_per_s: float) -> Decision:
    by_source: dict[Address, float] = {}
    hits = 0.0
    ratio = Hitter(best.match).ratio
    for item in ordinary.slices:
        weight = item.packets * ratio(item)
        hits += weight
        if weight and item.source.version == best.match.destination.version:
            by_source[item.source] = by_source.get(item.source, 0.0) + weight
    named = set(best.match.sources)
    lasting = by_source if ordinary.lasting is None else ordinary.lasting
    known = [ip_network(item) for item in sorted(by_source, key=lambda item: -by_source[item]) if item in lasting]
    spared = tuple(network for network in known if network not in named)[: rules.most_sources]
    usual_per_s = hits / ordinary.length_s
    packets_per_s = max(1, round(min(rules.headroom * usual_per_s, max(usual_per_s, alarm_per_s))))
    limit = Limit(packets_per_s=packets_per_s, burst_packets=max(5, packets_per_s), per_source=bool(named))
    return replace(best, match=replace(best.match, spared=spared), limit=limit)
