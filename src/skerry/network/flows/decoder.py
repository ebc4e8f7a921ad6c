"""The decoder: datagrams of exporters in, columns out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.network.flows import netflow5
from skerry.network.flows.batch import FlowBatch
from skerry.network.flows.counts import Counts
from skerry.network.flows.datagram import Datagram
from skerry.network.flows.domain import Domain, DomainStore
from skerry.network.flows.gathering import Gathering
from skerry.network.flows.messages import IPFIX, NETFLOW_9, MessageReader, note_step, read_header
from skerry.network.flows.origin import Origin
from skerry.network.flows.sequence import Step
from skerry.network.flows.sflow import reader as sflow
from skerry.network.flows.waiting import Waiting

_NETFLOW_5 = 5

# sFlow has its version in four bytes, all others in two.
_SFLOW_5 = b"\0\0\0\5"


class FlowDecoder:
    """Decodes NetFlow v5 and v9, IPFIX, and sFlow v5.

    It never raises for what a datagram holds: what cannot be read is counted in ``counts``, by reason, and the rest of
    the datagram is kept. Its memory is bounded, whatever it is sent.

    Args:
        max_domains: Exporters and their domains that are remembered.
        max_templates: Templates per domain.
        max_fields: Fields of all templates together.
        max_waiting_bytes: Memory for data sets that came before their template.

    Example:
        >>> from skerry.network.flows import FlowDecoder
        >>> len(FlowDecoder().decode([]))
        0
    """

    def __init__(
        self,
        *,
        max_domains: int = 1_024,
        max_templates: int = 256,
        max_fields: int = 65_536,
        max_waiting_bytes: int = 1 << 20,
    ) -> None:
        self.counts = Counts()
        self._store = DomainStore(max_domains=max_domains, max_templates=max_templates, max_fields=max_fields)
        self._waiting = Waiting(self.counts, max_bytes=max_waiting_bytes)
        self._messages = MessageReader(self._store, self._waiting, self.counts)
        self._samples = sflow.SampleReader(self.counts)
        self._layout_5 = netflow5.layout()

    def decode(self, datagrams: Iterable[Datagram]) -> FlowBatch:
        """Decode datagrams.

        Args:
            datagrams: In the order of arrival. All that came in some milliseconds, rather than one by one: records of
                one layout are read together.

        Returns:
            Their records, in the order of arrival.
        """
        gathering = Gathering()
        for datagram in datagrams:
            self.counts.datagrams += 1
            try:
                self._read(datagram, gathering)
            except DataError as error:
                self.counts.refuse(str(error.details.get("reason", "malformed")))
        batch = gathering.to_batch()
        self.counts.records += len(batch)
        return batch

    def take_counters(self) -> NDArray[Any]:
        """Return the counters of interfaces that came since the last call (sFlow), of dtype ``COUNTERS``."""
        return self._samples.counters.take()

    def _read(self, datagram: Datagram, gathering: Gathering) -> None:
        version = int.from_bytes(datagram.data[:2], "big")
        if version in {NETFLOW_9, IPFIX}:
            header = read_header(datagram.data, version)
            domain = self._find(datagram, version, header.number)
            self._messages.read(datagram, header, domain, gathering)
        elif version == _NETFLOW_5:
            self._read_5(datagram, gathering)
        elif datagram.data[:4] == _SFLOW_5:
            self._read_sflow(datagram, gathering)
        else:
            raise DataError("a datagram of no version that is known here", reason="unknown_version")

    def _read_5(self, datagram: Datagram, gathering: Gathering) -> None:
        header = netflow5.Header(datagram)
        domain = self._find(datagram, _NETFLOW_5, header.engine)
        count = min(header.count, (len(datagram.data) - netflow5.HEADER_BYTES) // netflow5.RECORD_BYTES)
        self._follow(domain, header.sequence, header.count)
        if count:
            end = netflow5.HEADER_BYTES + count * netflow5.RECORD_BYTES
            origin = Origin(
                received_ms=datagram.received_ms,
                export_ms=header.export_ms,
                boot_ms=header.export_ms - header.uptime_ms,
                number=header.engine,
                domain=domain,
                rate=header.rate,
            )
            gathering.add(self._layout_5, datagram.data[netflow5.HEADER_BYTES : end], count, origin)
        if count < header.count:
            raise DataError("a NetFlow v5 datagram has fewer records than it says", reason="truncated_records")

    def _read_sflow(self, datagram: Datagram, gathering: Gathering) -> None:
        header = sflow.read_header(datagram.data)
        domain = self._find(datagram, 0, header.sub_agent, header.agent)
        self._follow(domain, header.sequence, 1)
        self._samples.read(datagram, header, domain, gathering)

    def _find(self, datagram: Datagram, version: int, number: int, agent: bytes = b"") -> Domain:
        key = (datagram.address + agent, datagram.port, version, number)
        return self._store.find(key, datagram.received_ms, agent or datagram.address)

    def _follow(self, domain: Domain, number: int, unit: int) -> None:
        step = domain.sequence.follow(number, unit)
        if step is Step.RESTART:
            self.counts.restarts += 1
        note_step(self.counts, step, domain.sequence.lost)
