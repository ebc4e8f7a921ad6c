"""Where records are from: what their datagram said, and what was known of its sender."""

from __future__ import annotations

from dataclasses import dataclass

from skerry.network.flows.domain import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What all records of a datagram share.

    Args:
        received_ms: When it came, by our clock.
        export_ms: When it was sent, by the exporter's; both Unix time.
        boot_ms: When the exporter started, by its clock; 0 where the datagram does not say.
        number: The domain that it names.
        domain: The sender's address, sampling and start.
        rate: Packets for each one seen, where the datagram says so; 0 where it does not.
    """

    received_ms: int
    export_ms: int
    boot_ms: int
    number: int
    domain: Domain
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one data set.

    Args:
        body: Their bytes, without padding and without fields of variable length.
        count: How many.
        origin: Where they are from.
        order: Its turn among the chunks of a batch.
    """

    body: bytes
    count: int
    origin: Origin
    order: int
