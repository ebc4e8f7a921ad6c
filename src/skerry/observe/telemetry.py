"""What the ``OTEL_*`` variables say: the one place that reads them.

A value that cannot be read is left out with a warning, never an error: the variables are often set for a whole machine
or cluster, and no function should fail to start for them.

Source: OpenTelemetry specification 1.x, environment variables of the SDK and of the OTLP exporter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from skerry.version import __version__

DEFAULT_URL = "http://localhost:4318/v1/traces"
SAMPLERS = frozenset(
    {
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    }
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PRINTABLE = re.compile(r"[\t -~]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Telemetry:
    """How traces are taken and where they go.

    Args:
        traces_url: Where spans are sent; none means that nothing is traced at all.
        headers: Sent with them; they may hold secrets.
        compress: Whether bodies are compressed with gzip.
        timeout_s: Longest wait for one answer.
        resource: Attributes of this process.
        follow_parent: Whether the caller's decision to sample counts.
        ratio: Share of the other traces that are sampled, in [0, 1].
        schedule_delay_s: Longest time that a finished trace waits for others to be sent with.
        export_timeout_s: Longest time that is spent on one batch, repetitions included.
        max_queue: Requests that may wait to be sent; one more is dropped and counted.
        max_batch: Requests that are sent at once.
        warnings: What could not be read, for the log; never a header's value.
    """

    traces_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    compress: bool = False
    timeout_s: float = 10.0
    resource: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    follow_parent: bool = True
    ratio: float = 1.0
    schedule_delay_s: float = 5.0
    export_timeout_s: float = 30.0
    max_queue: int = 2048
    max_batch: int = 512
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Telemetry:
        """Return what the variables say; a variable that is empty counts as absent."""
        reader = _Reader(environ)
        sampler = reader.word("OTEL_TRACES_SAMPLER", SAMPLERS, "parentbased_always_on")
        max_queue = int(reader.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, low=1, high=1_000_000))
        max_batch = int(reader.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, low=1, high=1_000_000))
        return cls(
            traces_url=reader.traces_url(),
            headers=MappingProxyType(reader.headers()),
            compress=reader.signal_word("COMPRESSION", {"gzip", "none"}, "none") == "gzip",
            timeout_s=reader.signal_number("TIMEOUT", 10_000) / 1000,
            resource=MappingProxyType(reader.resource()),
            follow_parent=sampler.startswith("parentbased_"),
            ratio=reader.ratio(sampler),
            schedule_delay_s=reader.number("OTEL_BSP_SCHEDULE_DELAY", 5_000, low=1, high=3_600_000) / 1000,
            export_timeout_s=reader.number("OTEL_BSP_EXPORT_TIMEOUT", 30_000, low=1, high=3_600_000) / 1000,
            max_queue=max_queue,
            max_batch=min(max_batch, max_queue),
            warnings=tuple(reader.warnings),
        )


class _Reader:
    """Reads variables and gathers warnings."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.warnings: list[str] = []

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def signal(self, ending: str) -> tuple[str, str]:
        """Return name and value of an exporter's variable; the one for traces goes before the one for all signals."""
        special, general = f"OTEL_EXPORTER_OTLP_TRACES_{ending}", f"OTEL_EXPORTER_OTLP_{ending}"
        name = special if self.text(special) else general
        return name, self.text(name)

    def word(self, name: str, known: Iterable[str], default: str) -> str:
        return self._known(name, self.text(name), known, default)

    def signal_word(self, ending: str, known: Iterable[str], default: str) -> str:
        name, value = self.signal(ending)
        return self._known(name, value, known, default)

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        return self._number(name, self.text(name), default, low, high)

    def signal_number(self, ending: str, default: float) -> float:
        name, value = self.signal(ending)
        return self._number(name, value, default, 1, 3_600_000)

    def ratio(self, sampler: str) -> float:
        if sampler.endswith("always_off"):
            return 0.0
        if sampler.endswith("traceidratio"):
            return self.number("OTEL_TRACES_SAMPLER_ARG", 1.0, low=0, high=1)
        return 1.0

    def traces_url(self) -> str | None:
        """Return where spans are sent: traces are on once an endpoint, or ``OTEL_TRACES_EXPORTER=otlp``, is set."""
        exporter = self.word("OTEL_TRACES_EXPORTER", {"otlp", "none"}, "")
        if self.text("OTEL_SDK_DISABLED").lower() == "true" or exporter == "none":
            return None
        name, url = self.signal("ENDPOINT")
        if not url:
            return DEFAULT_URL if exporter else None
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port or an address that is none
            usable = False
        if not usable:
            self.warnings.append(f"{name}: not an http or https URL; nothing is traced")
            return None
        if self.signal_word("PROTOCOL", {"http/json", "http/protobuf", "grpc"}, "http/json") == "grpc":
            self.warnings.append("OTEL_EXPORTER_OTLP_PROTOCOL = 'grpc': spoken is http/json; nothing is traced")
            return None
        return url if name.endswith("_TRACES_ENDPOINT") else f"{url.rstrip('/')}/v1/traces"

    def headers(self) -> dict[str, str]:
        name, text = self.signal("HEADERS")
        headers = {}
        for key, value in self._pairs(name, text):
            if _TOKEN.fullmatch(key) and _PRINTABLE.fullmatch(value):
                headers[key] = value
            else:
                self.warnings.append(f"{name}: a header that HTTP does not allow; it is left out")
        return headers

    def resource(self) -> dict[str, str]:
        """Return the process's attributes; ``OTEL_SERVICE_NAME`` goes before ``service.name`` among them."""
        name = "OTEL_RESOURCE_ATTRIBUTES"
        return {
            "service.name": self.text("K_SERVICE") or "skerry",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "skerry",
            "telemetry.sdk.version": __version__,
            **dict(self._pairs(name, self.text(name))),
            **({"service.name": self.text("OTEL_SERVICE_NAME")} if self.text("OTEL_SERVICE_NAME") else {}),
        }

    def _pairs(self, name: str, text: str) -> list[tuple[str, str]]:
        """Read ``key=value,key2=value2``, the values percent-encoded."""
        pairs = []
        for member in filter(str.strip, text.split(",")):
            key, equals, value = member.partition("=")
            if equals and key.strip():
                pairs.append((unquote(key.strip()), unquote(value.strip())))
            else:
                self.warnings.append(f"{name}: a member is not of the form key=value; it is left out")
        return pairs

    def _known(self, name: str, value: str, known: Iterable[str], default: str) -> str:
        word = value.lower()
        if not word or word in known:
            return word or default
        self.warnings.append(f"{name} = {value!r}: known are {', '.join(sorted(known))}; using {default or 'none'}")
        return default

    def _number(self, name: str, value: str, default: float, low: float, high: float) -> float:
        try:
            number = float(value) if value else default
        except ValueError:
            number = float("nan")
        if low <= number <= high:
            return number
        self.warnings.append(f"{name} = {value!r}: must be a number from {low:g} to {high:g}; using {default:g}")
        return default
