"""What a decoder counts: what it read, and all that it refused or missed, by reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

# Reasons are words of this package; a bound keeps a mistake here from becoming a leak.
_MAX_REASONS = 64


@dataclass(slots=True)
class Counts:
    """Numbers since the decoder was made.

    Args:
        datagrams: Taken in, of whatever kind.
        records: Flow records handed out.
        other_records: Records that tell of no flow: options, events, layer 2.
        counters: Interface counters handed out (sFlow).
        templates: Templates learnt or changed.
        withdrawals: Templates withdrawn.
        sets_held: Data sets that came before their template and were kept.
        sets_recovered: Held data sets whose template came.
        sets_dropped: Held data sets that were given up: no room, or too old.
        lost: What sequence numbers say is missing, in the exporter's unit: v5 flows, v9 datagrams, IPFIX records, sFlow
            datagrams.
        gaps: How often something was missing.
        late: Datagrams behind their turn.
        restarts: Exporters that began anew.
        refused: Datagrams or sets that could not be read, by reason.
    """

    datagrams: int = 0
    records: int = 0
    other_records: int = 0
    counters: int = 0
    templates: int = 0
    withdrawals: int = 0
    sets_held: int = 0
    sets_recovered: int = 0
    sets_dropped: int = 0
    lost: int = 0
    gaps: int = 0
    late: int = 0
    restarts: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str) -> None:
        """Count a datagram or set that could not be read."""
        if reason in self.refused or len(self.refused) < _MAX_REASONS:
            self.refused[reason] = self.refused.get(reason, 0) + 1

    def to_json(self) -> Mapping[str, int | dict[str, int]]:
        """Return all numbers by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}
