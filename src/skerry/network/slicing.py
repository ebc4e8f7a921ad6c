"""From flow records to what detectors take: the packets to each destination, by kind and source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.network.actions import Address, Flag, Network, Protocol
from skerry.network.detection import Slice
from skerry.network.features.groups import Codes, code_addresses, join_codes
from skerry.network.flows.batch import IPV4_PREFIX, FlowBatch

# Slices of one destination in one window; a flood with forged sources would have one for each packet.
MOST_SLICES = 4000

_PROTOCOLS = {1: Protocol.ICMP, 6: Protocol.TCP, 17: Protocol.UDP, 58: Protocol.ICMP}
_TCP, _UDP = 6, 17
_ASKED = int(Flag.FIN | Flag.SYN | Flag.RST | Flag.ACK)
# Made once: to look a member up by its number takes as long as to make all the rest of a slice.
_FLAGS = tuple(map(Flag, range(_ASKED + 1)))
_FIELDS = ("source_port", "destination_port", "protocol", "flags", "length", "packets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """What went to one destination.

    Args:
        destination: Where it went.
        slices: The packets, by kind and source.
        sampling: Packets that each seen one stands for.
    """

    destination: Address
    slices: tuple[Slice, ...]
    sampling: float


def slice_by_destination(
    batch: FlowBatch, scope: Sequence[Network] = (), *, most: int = MOST_SLICES
) -> Iterator[Slices]:
    """Yield the traffic to each destination.

    Records of one conversation are one slice, with the flags of all: exporters without a cache tell each packet by
    itself, and the first packet of a connection is not one that nobody has answered. Left out are records of no
    packets, and those without a source of the destination's IP version: anybody may forge a record.

    Args:
        batch: All records of a window.
        scope: Networks whose addresses are wanted; all by default.
        most: Slices of one destination; of those beyond, some stand for the others.

    Example:
        >>> list(slice_by_destination(FlowBatch()))
        []
    """
    wanted = batch.select(_plausible(batch))
    if scope:
        wanted = wanted.select(_within(wanted["destination"], scope))
    if not len(wanted):
        return
    owner = code_addresses(wanted["destination"])
    rows = _merge(wanted, owner)
    sources, destinations = wanted["source"], wanted["destination"]
    order = np.argsort(rows["owner"], kind="stable")
    begins = np.flatnonzero(np.r_[True, np.diff(rows["owner"][order]) > 0])
    for begin, end in zip(begins, [*begins[1:], len(order)], strict=True):
        chosen = _thin(rows[order[begin:end]], most)
        first = chosen["first"]
        destination = _address(*destinations[first[0]].item())
        yield Slices(
            destination=destination,
            slices=tuple(_slices(chosen, _addresses(sources[first], type(destination)))),
            sampling=float(chosen["sampling"].max()),
        )


_ROW = np.dtype(
    [
        ("owner", "<i8"),
        ("first", "<i8"),
        ("source_port", "<u2"),
        ("destination_port", "<u2"),
        ("protocol", "u1"),
        ("flags", "<u2"),
        ("length", "<i8"),
        ("packets", "<f8"),
        ("sampling", "<f8"),
    ]
)


def _merge(batch: FlowBatch, owner: Codes) -> NDArray[Any]:
    """Return a row for each conversation."""
    ends = join_codes(owner, code_addresses(batch["source"]))
    # Ports and protocol have 40 bits together: to sort a window's records once more costs less than three times.
    kind = batch["source_port"].astype(np.int64) << 24 | batch["destination_port"].astype(np.int64) << 8
    group = join_codes(ends, Codes(of=kind | batch["protocol"], count=1 << 40))
    rows = np.zeros(int(group.of.max()) + 1, _ROW)
    first = np.zeros(len(rows), np.int64)
    first[group.of[::-1]] = np.arange(len(batch))[::-1]
    rows["first"], rows["owner"] = first, owner.of[first]
    for column in ("source_port", "destination_port", "protocol", "sampling"):
        rows[column] = batch[column][first]
    rows["packets"] = np.bincount(group.of, batch["packets"], len(rows))
    octets = np.bincount(group.of, batch["bytes"], len(rows))
    rows["length"] = np.minimum(np.rint(octets / np.maximum(rows["packets"], 1e-12)), 65_535)
    flags = np.zeros(len(rows), np.uint16)
    np.bitwise_or.at(flags, group.of, (batch["tcp_flags"] & _ASKED).astype(np.uint16))
    rows["flags"] = flags
    return rows


def _thin(rows: NDArray[Any], most: int) -> NDArray[Any]:
    """Return the largest rows, and of the rest some with the weight of all."""
    if len(rows) <= most:
        return rows
    ordered = rows[np.argsort(-rows["packets"], kind="stable")]
    largest, rest = ordered[: most // 2], ordered[most // 2 :]
    some = rest[:: -(-len(rest) // (most - most // 2))].copy()
    some["packets"] *= rest["packets"].sum() / some["packets"].sum()
    return np.concatenate([largest, some])


def _slices(rows: NDArray[Any], sources: Iterable[Address]) -> Iterator[Slice]:
    columns = [rows[name].tolist() for name in _FIELDS]
    for source, source_port, port, protocol, flags, length, packets in zip(sources, *columns, strict=True):
        yield Slice(
            source=source,
            protocol=_PROTOCOLS.get(protocol),
            source_port=source_port,
            destination_port=0 if protocol in (1, 58) else port,  # of ICMP it is type and code
            flags=_FLAGS[flags] if protocol == _TCP else None,
            length_bytes=length,
            packets=packets,
            # Later pieces of a datagram have no ports, and exporters say 0.
            fragments=protocol == _UDP and source_port == 0 and port == 0,
        )


def _plausible(batch: FlowBatch) -> NDArray[np.bool_]:
    same_version = _is_ipv4(batch["source"]) == _is_ipv4(batch["destination"])
    plausible: NDArray[np.bool_] = same_version & (batch["packets"] > 0)
    return plausible


def _is_ipv4(addresses: NDArray[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (addresses["high"] == 0) & (addresses["low"] >> np.uint64(32) == IPV4_PREFIX >> 32)
    return found


def _within(addresses: NDArray[Any], scope: Sequence[Network]) -> NDArray[np.bool_]:
    found = np.zeros(len(addresses), np.bool_)
    for network in scope:
        if network.version == 4:
            low = IPV4_PREFIX | int(network.network_address)
            found |= (addresses["high"] == 0) & (addresses["low"] - np.uint64(low) < network.num_addresses)
            continue
        both = np.ones(len(addresses), np.bool_)
        for half, shift in (("high", 64), ("low", 0)):
            mask = np.uint64(int(network.netmask) >> shift & 0xFFFF_FFFF_FFFF_FFFF)
            both &= addresses[half] & mask == np.uint64(int(network.network_address) >> shift & 0xFFFF_FFFF_FFFF_FFFF)
        found |= both
    return found


def _addresses(halves: NDArray[Any], kind: type[Address]) -> Iterable[Address]:
    """Return addresses that are all of one version."""
    if kind is IPv4Address:
        return map(IPv4Address, (halves["low"] & np.uint64(0xFFFF_FFFF)).tolist())
    return [_address(high, low) for high, low in halves.tolist()]


def _address(high: int, low: int) -> Address:
    if high == 0 and low >> 32 == IPV4_PREFIX >> 32:
        return IPv4Address(low & 0xFFFF_FFFF)
    return IPv6Address(high << 64 | low)
