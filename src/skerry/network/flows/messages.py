"""NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): messages of sets, some of which say how to read the others."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from skerry.errors import DataError
from skerry.network.flows.counts import Counts
from skerry.network.flows.datagram import Datagram
from skerry.network.flows.domain import Domain, DomainStore, Template
from skerry.network.flows.gathering import Gathering
from skerry.network.flows.layout import compile_layout, read_fields
from skerry.network.flows.options import learn_options
from skerry.network.flows.origin import Origin
from skerry.network.flows.records import cut
from skerry.network.flows.sequence import Step
from skerry.network.flows.waiting import HeldSet, Waiting

NETFLOW_9 = 9
IPFIX = 10

# Sets of this number and above hold records; below are templates.
FIRST_DATA_SET = 256

_V9_HEADER = struct.Struct(">HHIIII")
_IPFIX_HEADER = struct.Struct(">HHIII")
_SET = struct.Struct(">HH")
_OPTIONS_HEAD = struct.Struct(">HHH")

# Template and options template sets, by version.
_TEMPLATE_SETS = {NETFLOW_9: (0, 1), IPFIX: (2, 3)}

# New templates in one set. To compile one takes longer than to send it.
_MAX_NEW_TEMPLATES = 256

# An uptime that falls by more than this is a restart, not two datagrams in the wrong order.
_RESTART_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the header of a message says.

    Args:
        version: ``NETFLOW_9`` or ``IPFIX``.
        size: Where its sets begin.
        end: Where they end.
        export_ms: When it was sent, Unix time.
        uptime_ms: Since the exporter started; -1 where the version does not say.
        sequence: Its sequence number.
        number: The source or observation domain.
    """

    version: int
    size: int
    end: int
    export_ms: int
    uptime_ms: int
    sequence: int
    number: int


def read_header(data: bytes, version: int) -> Header:
    """Read the header of a message.

    Raises:
        DataError: It is too short, or says that it is.
    """
    if len(data) < (20 if version == NETFLOW_9 else 16):
        raise DataError("a message ends within its header", reason="truncated_header")
    if version == NETFLOW_9:
        _, _, uptime_ms, seconds, sequence, number = _V9_HEADER.unpack_from(data)
        return Header(
            version=version,
            size=20,
            end=len(data),
            export_ms=seconds * 1000,
            uptime_ms=uptime_ms,
            sequence=sequence,
            number=number,
        )
    _, length, seconds, sequence, number = _IPFIX_HEADER.unpack_from(data)
    if length < _IPFIX_HEADER.size:
        raise DataError("a message says that it is shorter than its header", reason="truncated_header")
    return Header(
        version=version,
        size=16,
        end=min(length, len(data)),
        export_ms=seconds * 1000,
        uptime_ms=-1,
        sequence=sequence,
        number=number,
    )


class MessageReader:
    """Reads messages, with what earlier ones said.

    Args:
        store: Domains and their templates.
        waiting: Where sets are kept that came before their template.
        counts: What is counted.
    """

    def __init__(self, store: DomainStore, waiting: Waiting, counts: Counts) -> None:
        self._store = store
        self._waiting = waiting
        self._counts = counts

    def read(self, datagram: Datagram, header: Header, domain: Domain, gathering: Gathering) -> None:
        """Read the sets of a message: learn its templates, and gather its records.

        Args:
            datagram: The message.
            header: Its header.
            domain: Who sent it.
            gathering: Where the records go.

        Raises:
            DataError: A set has no length that can be; the sets before it are read.
        """
        self._notice_restart(domain, header)
        origin = Origin(
            received_ms=datagram.received_ms,
            export_ms=header.export_ms,
            boot_ms=header.export_ms - header.uptime_ms if header.uptime_ms >= 0 else 0,
            number=header.number,
            domain=domain,
        )
        try:
            records = self._read_sets(datagram.data, header, origin, gathering)
        except DataError:
            self._follow(domain, header, ())
            raise
        self._follow(domain, header, records)

    def _read_sets(self, data: bytes, header: Header, origin: Origin, gathering: Gathering) -> tuple[int, ...]:
        """Return how many records there are, with and without those of options; nothing where a template is missing."""
        templates, options = _TEMPLATE_SETS[header.version]
        total, of_flows, known = 0, 0, True
        at = header.size
        while header.end - at >= _SET.size:
            number, length = _SET.unpack_from(data, at)
            if length < _SET.size or at + length > header.end:
                raise DataError("a set ends outside of its message", reason="set_beyond_message")
            body = data[at + _SET.size : at + length]
            at += length
            if number >= FIRST_DATA_SET:
                template = origin.domain.templates.get(number)
                if template is None:
                    self._waiting.hold(origin.domain.key, number, HeldSet(body, origin))
                    known = False
                    continue
                count = self._gather(template, body, origin, gathering)
                total += count
                of_flows += 0 if template.is_options else count
            elif number in {templates, options}:
                self._read_templates(body, header.version, number == options, origin, gathering)
            else:
                self._counts.refuse("unknown_set")
        return (total, of_flows) if known else ()

    def _gather(self, template: Template, body: bytes, origin: Origin, gathering: Gathering) -> int:
        try:
            records, count = cut(body, template.layout)
        except DataError as error:
            self._counts.refuse(str(error.details["reason"]))
            records, count = error.details["records"], error.details["count"]
        if template.is_options:
            learn_options(origin.domain, template.layout, records)
        if not count:
            return 0
        if template.is_options or not template.layout.is_flow:
            self._counts.other_records += count
        else:
            gathering.add(template.layout, records, count, origin)
        return count

    def _read_templates(self, body: bytes, version: int, options: bool, origin: Origin, gathering: Gathering) -> None:
        """Learn the templates of a set; one that cannot be read ends it, for nobody knows where the next begins."""
        at, learnt = 0, self._counts.templates
        while len(body) - at >= _SET.size:
            if self._counts.templates - learnt >= _MAX_NEW_TEMPLATES:
                self._counts.refuse("too_many_templates")
                return
            number, count = _SET.unpack_from(body, at)
            if number < FIRST_DATA_SET and not (version == IPFIX and count == 0 and number in {2, 3}):
                return  # padding
            try:
                at = self._read_template(body, at, version, options, origin, gathering)
            except DataError as error:
                self._counts.refuse(str(error.details["reason"]))
                if error.details["reason"] not in {"templates_full", "empty_template"}:
                    return
                at = int(error.details["next"])

    def _read_template(
        self, body: bytes, at: int, version: int, options: bool, origin: Origin, gathering: Gathering
    ) -> int:
        """Learn a template, or forget it where it is withdrawn, and return where the next begins."""
        number, count = _SET.unpack_from(body, at)
        domain = origin.domain
        if version == IPFIX and count == 0:
            self._withdraw(domain, number)
            return at + _SET.size
        start = at + _SET.size
        if options:
            if len(body) - at < _OPTIONS_HEAD.size:
                raise DataError("an options template ends within its head", reason="truncated_template")
            _, first, second = _OPTIONS_HEAD.unpack_from(body, at)
            # IPFIX has the number of fields here, v9 the bytes of the specifiers of scope and of options.
            count = first if version == IPFIX else (first + second) // 4
            start = at + _OPTIONS_HEAD.size
        known = domain.templates.get(number)
        if (
            known is not None
            and (known.is_options, known.fields) == (options, count)
            and body.startswith(known.spec, start)
        ):
            return start + len(known.spec)
        fields, end = read_fields(body, start, count, enterprises=version == IPFIX)
        try:
            layout = compile_layout(fields, options=options)
            spec = body[start:end]
            self._store.learn(
                domain, number, Template(spec=spec, layout=layout, is_options=options, fields=len(fields))
            )
        except DataError as error:
            raise DataError(error.message, **error.details, next=end) from error
        self._counts.templates += 1
        for held in self._waiting.take(domain.key, number, origin.received_ms):
            self._gather(domain.templates[number], held.body, held.origin, gathering)
        return end

    def _withdraw(self, domain: Domain, number: int) -> None:
        self._counts.withdrawals += 1
        if number in _TEMPLATE_SETS[IPFIX]:
            self._store.withdraw_all(domain, options=number == _TEMPLATE_SETS[IPFIX][1])
        else:
            self._store.withdraw(domain, number)

    def _notice_restart(self, domain: Domain, header: Header) -> None:
        if header.uptime_ms < 0:
            return
        fell = domain.uptime_ms - header.uptime_ms
        # An uptime that fell by nearly all that 32 bits can hold has wrapped; the exporter runs on.
        if _RESTART_MS < fell < (1 << 32) - 3_600_000:
            self._counts.restarts += 1
            self._store.withdraw_all(domain)
            domain.sequence.forget()
        domain.uptime_ms = header.uptime_ms

    def _follow(self, domain: Domain, header: Header, records: tuple[int, ...]) -> None:
        # v9 counts datagrams, IPFIX data records, with those of options. Some exporters count other things: softflowd
        # leaves the options out. A number that is right by one way of counting is right.
        units = (1, *records) if header.version == NETFLOW_9 else records
        step = domain.sequence.follow(header.sequence, *units)
        if step is Step.RESTART:
            self._counts.restarts += 1
        note_step(self._counts, step, domain.sequence.lost)


def note_step(counts: Counts, step: Step, lost: int) -> None:
    """Count what a sequence number has shown, but for restarts."""
    if step is Step.GAP:
        counts.gaps += 1
        counts.lost += lost
    elif step is Step.LATE:
        counts.late += 1
