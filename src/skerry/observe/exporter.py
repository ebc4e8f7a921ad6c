"""Sends finished spans to a collector, from a thread of its own."""

from __future__ import annotations

import gzip
import http.client
import logging
import math
import random
import threading
import time
from enum import Enum, auto
from urllib.parse import urlsplit

from skerry.observe.instruments import Callback
from skerry.observe.metrics import Registry
from skerry.observe.otlp import encode_request, rejected_spans
from skerry.observe.telemetry import Telemetry
from skerry.observe.tracing import Tracer
from skerry.version import __version__

logger = logging.getLogger(__name__)

RETRYABLE = frozenset({429, 502, 503, 504})
MAX_BACKOFF_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024


class _Outcome(Enum):
    SENT = auto()
    REFUSED = auto()  # the same request would be refused again
    FAILED = auto()


class SpanExporter:
    """Sends what a tracer holds with OTLP over HTTP.

    It never blocks who finishes a request: what a slow or absent collector does not take in time is dropped and
    counted. Requests are counted, not spans.

    Args:
        telemetry: Where to, how much at a time, how often.
        tracer: Whose requests.
        first_backoff_s: Pause after a first failure; it doubles with each further one, up to 5 s.
    """

    def __init__(self, telemetry: Telemetry, tracer: Tracer, *, first_backoff_s: float = 1.0) -> None:
        url = urlsplit(telemetry.traces_url or "")
        self.exported = 0
        self.failed = 0
        self._telemetry = telemetry
        self._tracer = tracer
        self._first_backoff_s = first_backoff_s
        self._path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
        self._place = f"{url.hostname}:{url.port}" if url.port else f"{url.hostname}"  # for the log: no secrets
        secure = url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(url.hostname or "", url.port, timeout=telemetry.timeout_s)
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"skerry/{__version__}",
            **({"Content-Encoding": "gzip"} if telemetry.compress else {}),
            **telemetry.headers,
        }
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._stop_by_s = math.inf
        self._is_well = True
        # A daemon: a collector that answers slowly does not keep the process alive beyond `stop`.
        self._thread = threading.Thread(target=self._run, name="skerry-span-exporter", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._tracer.on_batch = self._wake.set
        self._thread.start()

    def stop(self, *, limit_s: float) -> bool:
        """Send what is left, without repetitions, and end; it blocks, so call it off the event loop.

        Args:
            limit_s: Longest time that this may take.

        Returns:
            Whether the thread has ended in time.
        """
        self._stop_by_s = time.monotonic() + limit_s
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    def declare_metrics(self, registry: Registry) -> None:
        """Show what became of traced requests in a registry."""
        family = registry.family("skerry_traced_requests_total", "counter", "Traced requests, by outcome.", ["outcome"])
        family.add(["exported"], Callback(lambda: self.exported))
        family.add(["failed"], Callback(lambda: self.failed))
        family.add(["dropped"], Callback(lambda: self._tracer.dropped))

    # In the thread

    def _run(self) -> None:
        while True:
            self._wake.wait(self._telemetry.schedule_delay_s)
            self._wake.clear()
            stopping = self._stopping.is_set()
            try:
                self._export_all()
            except Exception:  # the thread must outlive a fault of its own, or the queue would stay full
                logger.exception("spans could not be exported")
            if stopping:
                break
        self._connection.close()

    def _export_all(self) -> None:
        while finished := self._tracer.take():
            if self._send(encode_request(finished, self._telemetry.resource)):
                self.exported += len(finished)
            else:
                self.failed += len(finished)

    def _send(self, body: bytes) -> bool:
        """Send a body, again and again where that may help; return whether it has arrived."""
        if self._telemetry.compress:
            body = gzip.compress(body, compresslevel=1)
        until_s = time.monotonic() + self._telemetry.export_timeout_s
        backoff_s = self._first_backoff_s
        while True:
            last_try = self._stopping.is_set()
            left_s = min(until_s, self._stop_by_s) - time.monotonic()
            if left_s <= 0:
                return self._report("it took too long")
            outcome, text, retry_after_s = self._post(body, min(self._telemetry.timeout_s, left_s))
            if outcome is _Outcome.SENT:
                self._recovered()
                return True
            pause_s = backoff_s * random.uniform(0.5, 1.0) if retry_after_s is None else retry_after_s
            if outcome is _Outcome.REFUSED or last_try or time.monotonic() + pause_s > until_s:
                return self._report(text)
            self._stopping.wait(pause_s)
            backoff_s = min(MAX_BACKOFF_S, backoff_s * 2)

    def _post(self, body: bytes, timeout_s: float) -> tuple[_Outcome, str, float | None]:
        """Send a body once; return how it went, why, and how long the receiver wants to be left alone."""
        connection = self._connection
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        is_kept = connection.sock is not None
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if is_kept and isinstance(error, ConnectionError):  # the receiver had closed it meanwhile
                return self._post(body, timeout_s)
            return _Outcome.FAILED, f"{type(error).__name__}: {error}", None
        if not response.isclosed():
            connection.close()  # more of the answer than anybody wants to read
        if 200 <= response.status < 300:
            if rejected := rejected_spans(answer):
                logger.warning("the collector at %s left out %d spans", self._place, rejected)
            return _Outcome.SENT, "", None
        outcome = _Outcome.FAILED if response.status in RETRYABLE else _Outcome.REFUSED
        return outcome, f"status {response.status}", _seconds(response.getheader("Retry-After"))

    def _report(self, reason: str) -> bool:
        if self._is_well:
            logger.warning("spans do not arrive at %s: %s; further failures are counted only", self._place, reason)
        self._is_well = False
        return False

    def _recovered(self) -> None:
        if not self._is_well:
            logger.warning("spans arrive at %s again", self._place)
        self._is_well = True


def _seconds(retry_after: str | None) -> float | None:
    """Return the header's seconds; a date, which collectors do not send, counts as absent."""
    if retry_after is not None and retry_after.strip().isdecimal():
        return float(retry_after)
    return None
