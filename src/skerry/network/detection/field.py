"""Rules about one field of a packet, for what cannot look at two: pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from skerry.network.actions import Match
from skerry.network.detection.decision import Decision, DecisionRules, Ordinary, decide
from skerry.network.detection.detector import Verdict
from skerry.network.detection.hitting import hit_ratio
from skerry.network.detection.traffic import Traffic


def decide_by_one_field(
    window: Traffic, ordinary: Ordinary, verdict: Verdict, *, rules: DecisionRules | None = None
) -> Decision | None:
    """Return a rule that names sources only or ports only, or None when none of these spares the destination.

    It is made of the narrowest rule, by leaving out all but one of its fields, so it hits more: everything that these
    sources send to the destination, or all that goes to these ports or comes from them. It is taken only where that is
    not ordinary. For XDP, and to be given to a loop as its `decide_rule`.

    Args:
        window: The traffic of now, without what rules in force drop.
        ordinary: The traffic of before.
        verdict: What the detector thinks of it.
        rules: What the decision is measured by; None for the usual.
    """
    rules = rules if rules is not None else DecisionRules()
    narrowest = decide(window, ordinary, kinds=verdict.kinds, suspects=verdict.suspects, rules=rules)
    if narrowest is None:
        return None
    for match in _fields(narrowest.match, known=bool(ordinary.slices)):
        hurt_ratio = _hurt_ratio(match, ordinary)
        if hurt_ratio <= rules.most_hurt_ratio:
            return replace(narrowest, match=match, limit=None, hurt_ratio=hurt_ratio)
    return None


def _fields(narrowest: Match, *, known: bool) -> Iterator[Match]:
    destination = narrowest.destination
    if narrowest.sources:
        yield Match(destination=destination, sources=narrowest.sources)
    if not known:  # a port may be what the destination is there for
        return
    if narrowest.source_ports:
        yield Match(destination=destination, protocol=narrowest.protocol, source_ports=narrowest.source_ports)
    if narrowest.destination_ports:
        yield Match(destination=destination, protocol=narrowest.protocol, destination_ports=narrowest.destination_ports)


def _hurt_ratio(match: Match, ordinary: Ordinary) -> float:
    total = sum(item.packets for item in ordinary.slices)
    return sum(item.packets * hit_ratio(match, item) for item in ordinary.slices) / total if total else 0.0
