"""Datagrams of sFlow v5 (sflow.org, version 5): a list of samples, each a list of records."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from skerry.errors import DataError
from skerry.network.flows.counts import Counts
from skerry.network.flows.datagram import Datagram
from skerry.network.flows.domain import Domain
from skerry.network.flows.gathering import Gathering
from skerry.network.flows.layout import Field, Layout, compile_layout
from skerry.network.flows.origin import Origin
from skerry.network.flows.sflow.counters import GENERIC, CounterRows
from skerry.network.flows.sflow.samples import LINKS, pack_sample, read_samples

_U4 = struct.Struct(">I")
_PAIR = struct.Struct(">II")
_TAIL = struct.Struct(">IIII")  # sub-agent, sequence, uptime, number of samples
_RAW = struct.Struct(">IIII")  # link, length of the frame, bytes taken off, length of the header

_ADDRESS_BYTES = {1: 4, 2: 16}

_FLOW, _COUNTERS, _EXPANDED_FLOW, _EXPANDED_COUNTERS = 1, 2, 3, 4
_RAW_HEADER, _IPV4, _IPV6 = 1, 3, 4
_GENERIC = 1

# Where the sampling rate is in the head of a flow sample, and how long that head is; the expanded form splits numbers.
_HEADS = {_FLOW: (8, 32), _EXPANDED_FLOW: (12, 44)}
_COUNTER_HEADS = {_COUNTERS: 12, _EXPANDED_COUNTERS: 16}

_SAMPLED = ((1, 4), (4, 4), (8, 4), (12, 4), (7, 4), (11, 4), (6, 4), (5, 4))
_SAMPLED_6 = ((1, 4), (4, 4), (27, 16), (28, 16), (7, 4), (11, 4), (6, 4), (5, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the header of a datagram says.

    Args:
        agent: Address of the switch or host whose packets they are; another may have sent the datagram.
        sub_agent: Which part of it.
        sequence: Sequence number.
        uptime_ms: Since the agent started.
        samples: How many samples there should be.
        size: Where they begin.
    """

    agent: bytes
    sub_agent: int
    sequence: int
    uptime_ms: int
    samples: int
    size: int


def read_header(data: bytes) -> Header:
    """Read the header of a datagram.

    Raises:
        DataError: It ends within its header, or its agent has an address of no known kind.
    """
    if len(data) < 8:
        raise DataError("an sFlow datagram ends within its header", reason="truncated_header")
    size = _ADDRESS_BYTES.get(_U4.unpack_from(data, 4)[0])
    if size is None:
        raise DataError("the agent of an sFlow datagram has no address", reason="unknown_agent")
    if len(data) < 8 + size + _TAIL.size:
        raise DataError("an sFlow datagram ends within its header", reason="truncated_header")
    sub_agent, sequence, uptime_ms, samples = _TAIL.unpack_from(data, 8 + size)
    return Header(
        agent=data[8 : 8 + size],
        sub_agent=sub_agent,
        sequence=sequence,
        uptime_ms=uptime_ms,
        samples=samples,
        size=8 + size + _TAIL.size,
    )


class SampleReader:
    """Reads the samples of datagrams.

    Args:
        counts: What is counted.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self.counters = CounterRows()
        self._sampled: dict[int, Layout] = {
            kind: compile_layout(tuple(Field(0, *each) for each in fields))
            for kind, fields in ((_IPV4, _SAMPLED), (_IPV6, _SAMPLED_6))
        }

    def read(self, datagram: Datagram, header: Header, domain: Domain, gathering: Gathering) -> None:
        """Read the samples of a datagram.

        Args:
            datagram: The datagram.
            header: Its header.
            domain: Its agent.
            gathering: Where sampled packets go.

        Raises:
            DataError: A sample or a record ends outside of what holds it; what came before is read.
        """
        origin = Origin(
            received_ms=datagram.received_ms,
            export_ms=datagram.received_ms,
            boot_ms=0,
            number=header.sub_agent,
            domain=domain,
        )
        sampled: dict[int, Origin] = {}  # by rate: most samples of a datagram have the same
        for kind, start, end in _items(datagram.data, header.size, len(datagram.data), header.samples):
            if kind in _HEADS:
                rate, records, count = _read_head(datagram.data, kind, start, end)
                if rate not in sampled:
                    sampled[rate] = replace(origin, rate=float(max(rate, 1)))
                self._read_flow(datagram.data, _items(datagram.data, records, end, count), sampled[rate], gathering)
            elif kind in _COUNTER_HEADS:
                self._read_counters(datagram.data, start + _COUNTER_HEADS[kind], end, origin)
            else:
                self._counts.other_records += 1

    def _read_flow(
        self, data: bytes, records: Iterator[tuple[int, int, int]], origin: Origin, gathering: Gathering
    ) -> None:
        found: tuple[int, int, int] | None = None
        for record in records:
            # The header itself says more than what the agent made of it.
            if record[0] == _RAW_HEADER or (found is None and record[0] in self._sampled):
                found = record
            if record[0] == _RAW_HEADER:
                break
        if found is None or not self._gather(data, *found, origin, gathering):
            self._counts.other_records += 1

    def _gather(self, data: bytes, kind: int, start: int, end: int, origin: Origin, gathering: Gathering) -> bool:
        if kind != _RAW_HEADER:
            layout = self._sampled[kind]
            if end - start < layout.min_bytes:
                raise DataError("a sampled packet ends within its fields", reason="truncated_sample")
            gathering.add(layout, data[start : start + layout.min_bytes], 1, origin)
            return True
        if end - start < _RAW.size:
            raise DataError("a sampled header ends within its head", reason="truncated_sample")
        link, wire_bytes, _, size = _RAW.unpack_from(data, start)
        if link not in LINKS:
            return False
        begin = start + _RAW.size
        sample = pack_sample(LINKS[link], wire_bytes, data[begin : min(begin + size, end)])
        gathering.add_for(read_samples, sample, 1, origin)
        return True

    def _read_counters(self, data: bytes, start: int, end: int, origin: Origin) -> None:
        if start > end:
            raise DataError("a counter sample ends within its head", reason="truncated_sample")
        (count,) = _U4.unpack_from(data, start - 4)
        for kind, begin, stop in _items(data, start, end, count):
            if kind != _GENERIC or stop - begin < GENERIC.itemsize:
                self._counts.other_records += 1
            elif self.counters.add(data[begin : begin + GENERIC.itemsize], origin):
                self._counts.counters += 1
            else:
                self._counts.refuse("counters_not_taken")


def _read_head(data: bytes, kind: int, start: int, end: int) -> tuple[int, int, int]:
    """Return the sampling rate of a flow sample, where its records begin, and how many there are."""
    rate_at, head = _HEADS[kind]
    if start + head > end:
        raise DataError("a flow sample ends within its head", reason="truncated_sample")
    (rate,) = _U4.unpack_from(data, start + rate_at)
    (count,) = _U4.unpack_from(data, start + head - 4)
    return rate, start + head, count


def _items(data: bytes, at: int, end: int, count: int) -> Iterator[tuple[int, int, int]]:
    """Yield the kind, start and end of each item of a list."""
    for _ in range(count):
        if at + _PAIR.size > end:
            raise DataError("a list ends before all of its items", reason="truncated_sample")
        kind, length = _PAIR.unpack_from(data, at)
        at += _PAIR.size
        if at + length > end:
            raise DataError("an item ends outside of its list", reason="truncated_sample")
        yield kind, at, at + length
        at += length
