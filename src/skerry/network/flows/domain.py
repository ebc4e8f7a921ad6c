"""What a collector must remember of each exporter: templates, sampling, sequence; all within bounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from skerry.errors import DataError
from skerry.network.flows.batch import address_halves
from skerry.network.flows.layout import Layout
from skerry.network.flows.sequence import Sequence

# Who speaks: address, port, protocol, and the domain that it names. RFC 7011 gives templates the scope of a transport
# session, so two exporters on one machine do not take each other's templates.
DomainKey = tuple[bytes, int, int, int]

_MAX_RATES = 1_024


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Template:
    """A template as it was announced.

    Args:
        spec: Its bytes, to see whether it has changed.
        layout: What they mean.
        is_options: Whether it describes options records.
        fields: How many fields it has, for the bound of the store.
    """

    spec: bytes
    layout: Layout
    is_options: bool
    fields: int


@dataclass(slots=True)
class Domain:
    """One observation domain of an exporter.

    Args:
        key: Who it is.
        exporter: The halves of its address.
        heard_ms: When its last datagram came.
        templates: By their numbers.
        sequence: Its sequence numbers.
        uptime_ms: What its last datagram said.
        rate: Packets that each sampled one stands for, where records say nothing themselves.
        rates: The same for single samplers (``sampler``) and interfaces (``interface``), by their numbers.
        boot_ms: When the exporter started, Unix time, where only an options record says so; 0 where unknown.
    """

    key: DomainKey
    exporter: tuple[int, int]
    heard_ms: int
    templates: dict[int, Template] = field(default_factory=dict)
    sequence: Sequence = field(default_factory=Sequence)
    uptime_ms: int = -1
    rate: float = 1.0
    rates: dict[str, dict[int, float]] = field(default_factory=dict)
    boot_ms: int = 0

    def set_rate(self, rate: float, kind: str | None = None, number: int = 0) -> None:
        """Remember a sampling rate.

        Args:
            rate: At least 1.
            kind: ``sampler`` or ``interface``, or nothing for the whole domain.
            number: Which sampler or interface.
        """
        if kind is None:
            self.rate = rate
            return
        known = self.rates.setdefault(kind, {})
        if number in known or len(known) < _MAX_RATES:
            known[number] = rate


class DomainStore:
    """All domains that were heard of.

    A sender can invent domains and templates without end, so all of it is bounded. What is known is never driven out by
    what is new, unless it was silent for ``idle_ms``: otherwise forged datagrams would make the collector blind.

    Args:
        max_domains: At most so many.
        max_templates: So many per domain.
        max_fields: So many fields in all templates together.
        idle_ms: A domain that was silent for so long may be forgotten.
    """

    def __init__(
        self,
        *,
        max_domains: int = 1_024,
        max_templates: int = 256,
        max_fields: int = 65_536,
        idle_ms: int = 1_800_000,
    ) -> None:
        self._max_domains = max_domains
        self._max_templates = max_templates
        self._max_fields = max_fields
        self._idle_ms = idle_ms
        self._domains: dict[DomainKey, Domain] = {}
        self._fields = 0
        self._looked_ms = 0

    def __len__(self) -> int:
        return len(self._domains)

    @property
    def fields(self) -> int:
        """How many fields all templates have together."""
        return self._fields

    def find(self, key: DomainKey, now_ms: int, exporter: bytes) -> Domain:
        """Return a domain, a new one where it was not heard of before.

        Args:
            key: Who it is.
            now_ms: The time.
            exporter: Its address, 4 or 16 bytes.

        Raises:
            DataError: There is no room for one more.
        """
        domain = self._domains.get(key)
        if domain is not None:
            domain.heard_ms = now_ms
            return domain
        if len(self._domains) >= self._max_domains:
            self._forget_idle(now_ms)
            if len(self._domains) >= self._max_domains:
                raise DataError(
                    f"{self._max_domains} exporters and domains are known, and no more is taken", reason="domains_full"
                )
        domain = self._domains[key] = Domain(key=key, exporter=address_halves(exporter), heard_ms=now_ms)
        return domain

    def learn(self, domain: Domain, number: int, template: Template) -> None:
        """Put a template into a domain, in place of the one that had its number.

        Raises:
            DataError: There is no room for it.
        """
        old = domain.templates.get(number)
        more = template.fields - (old.fields if old else 0)
        if (old is None and len(domain.templates) >= self._max_templates) or self._fields + more > self._max_fields:
            raise DataError(f"there is no room for template {number} of a domain", reason="templates_full")
        domain.templates[number] = template
        self._fields += more

    def withdraw(self, domain: Domain, number: int) -> None:
        """Forget a template, if it is known."""
        old = domain.templates.pop(number, None)
        if old is not None:
            self._fields -= old.fields

    def withdraw_all(self, domain: Domain, *, options: bool | None = None) -> None:
        """Forget the templates of a domain: all of them, or only those of options or of data."""
        for number in [n for n, t in domain.templates.items() if options is None or t.is_options is options]:
            self.withdraw(domain, number)

    def _forget_idle(self, now_ms: int) -> None:
        # Looking through all of them once a second is cheap; for each datagram of a flood it would not be.
        if 0 <= now_ms - self._looked_ms < 1_000:
            return
        self._looked_ms = now_ms
        for domain in [d for d in self._domains.values() if now_ms - d.heard_ms > self._idle_ms]:
            self.withdraw_all(domain)
            del self._domains[domain.key]
