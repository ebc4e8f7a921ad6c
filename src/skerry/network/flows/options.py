"""Options records: what an exporter says about itself, of which sampling and its start matter here."""

from __future__ import annotations

from typing import Any

import numpy as np

from skerry.network.flows.domain import Domain
from skerry.network.flows.layout import Layout

# A rate beyond this is no sampling, it is nonsense.
MAX_RATE = 1e9

# Options of one set; they are read one by one, so more of them would be an attack on the collector's time.
_MAX_RECORDS = 1_024


def learn_options(domain: Domain, layout: Layout, records: bytes) -> None:
    """Take sampling rates and the start of the exporter from options records.

    Args:
        domain: Whose they are; it is changed.
        layout: Of the options template.
        records: As the layout's dtype reads them.
    """
    if not layout.columns or not records:
        return
    for record in np.frombuffer(records, layout.dtype)[:_MAX_RECORDS]:
        said = {name: _number(record[name], name in layout.odd) for name in layout.columns}
        rate = sampling_rate(said)
        if rate is not None:
            kind = next((name for name in ("sampler", "interface") if name in said), None)
            domain.set_rate(rate, kind, int(said.get(kind, 0)) if kind else 0)
            if kind == "sampler" and len(domain.rates["sampler"]) == 1:
                domain.set_rate(rate)  # data records that name no sampler mean the only one there is
        if 0 < said.get("boot_ms", 0) < 1 << 43:
            domain.boot_ms = int(said["boot_ms"])


def sampling_rate(said: dict[str, float]) -> float | None:
    """Return for how many packets each sampled one stands, if a record says so.

    Args:
        said: Elements by their names in ``fields.OPTIONS``.

    Example:
        >>> sampling_rate({"packet_interval": 1, "packet_space": 99})
        100.0
    """
    rate = None
    if said.get("interval"):
        rate = float(said["interval"])
    elif said.get("packet_interval"):
        rate = (said["packet_interval"] + said.get("packet_space", 0)) / said["packet_interval"]
    elif said.get("size") and said.get("population"):
        rate = said["population"] / said["size"]
    elif said.get("probability"):
        rate = 1 / said["probability"]
    return rate if rate is not None and 1 <= rate <= MAX_RATE else None


def _number(value: Any, odd: bool) -> float:
    return int.from_bytes(value.tobytes(), "big") if odd else value.item()
