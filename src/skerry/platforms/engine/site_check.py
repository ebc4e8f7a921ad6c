"""Whether a site answers as it should, and what was measured on the way."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from skerry.errors import SkerryError
from skerry.platforms.engine.site import CONNECT_TIMEOUT_S, SitePlatform
from skerry.platforms.http.connection import Address
from skerry.platforms.http.secure import client_context
from skerry.spec import Site
from skerry.version import __version__

ROUND_TRIPS = 5
SOON_S = 30 * 86_400.0  # a certificate that ends within this is worth a word
CLOCK_S = 1.0  # so is a clock that is off by more than this


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCheck:
    """What was found out about a site.

    Args:
        site: Its name.
        address: Its address.
        problem: Why it does not answer as it should; none if it does.
        warnings: What will be a problem, or is one for some.
        version: Of Skerry there.
        rtt_s: Shortest time of a request over an open connection, seconds.
        certificate_ends_at: Unix time at which its certificate ends, seconds.
        clock_offset_s: By how much its clock is ahead of this one, seconds; known to within half of ``rtt_s``.
    """

    site: str
    address: str
    problem: str | None = None
    warnings: tuple[str, ...] = field(default=())
    version: str | None = None
    rtt_s: float | None = None
    certificate_ends_at: float | None = None
    clock_offset_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain values."""
        return {**asdict(self), "warnings": list(self.warnings)}


def check_site(site: Site) -> SiteCheck:
    """Ask a site what it is, several times, and measure how long that takes."""
    facts: dict[str, Any] = {"site": site.name, "address": site.address}
    try:
        platform = SitePlatform(site, patience_s=0)
        try:
            facts["certificate_ends_at"] = certificate_end(site)
            found, facts["rtt_s"], facts["clock_offset_s"] = _ask(platform)
        finally:
            platform.close()
    except SkerryError as error:
        return SiteCheck(**facts, problem=error.message)
    facts["version"] = str(found["version"])
    return SiteCheck(**facts, warnings=tuple(_warnings(facts)))


def certificate_end(site: Site) -> float | None:
    """Return the Unix time at which the certificate that a site shows ends; none when none can be relied on."""
    place = Address.parse(site.address)
    context = client_context(site.certificate)
    try:
        with (
            socket.create_connection((place.host, place.port), CONNECT_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=place.host) as shown,
        ):
            return float(ssl.cert_time_to_seconds(str((shown.getpeercert() or {})["notAfter"])))
    except (OSError, ValueError, KeyError):
        return None  # the request after this says why, in words


def _ask(platform: SitePlatform) -> tuple[dict[str, Any], float, float]:
    """Return what the engine says of itself, the shortest round trip, and the clock's offset measured in it."""
    measured: list[tuple[float, float]] = []
    found = platform.engine()  # opens the connection, which is no part of a round trip
    for _ in range(ROUND_TRIPS):
        began_at, began_s = time.time(), time.monotonic()
        found = platform.engine()
        rtt_s = time.monotonic() - began_s
        measured.append((rtt_s, float(found["time"]) - (began_at + rtt_s / 2)))
    # The fastest one waited for nothing, so that the clock was read in the middle of it.
    rtt_s, offset_s = min(measured)
    return found, rtt_s, offset_s


def _warnings(facts: dict[str, Any]) -> list[str]:
    where = f"site {facts['site']!r}"
    found = []
    ends_at = facts["certificate_ends_at"]
    if ends_at is not None and ends_at - time.time() < SOON_S:
        found.append(f"{where}: its certificate ends in {(ends_at - time.time()) / 86_400:.0f} days; renew it")
    if abs(facts["clock_offset_s"]) > CLOCK_S + facts["rtt_s"]:
        found.append(f"{where}: its clock is off by {facts['clock_offset_s']:+.1f} s; set it by NTP")
    if facts["version"] != __version__:
        found.append(f"{where}: it runs Skerry {facts['version']}, and this is {__version__}")
    return found
