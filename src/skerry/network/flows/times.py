"""When a flow began and ended: seven ways to say it, one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skerry.network.flows.columns import View

# Seconds between 1900, where the clock of NTP begins, and 1970.
_NTP_S = 2_208_988_800

# A time behind this is nonsense (the year 2242 in milliseconds); it keeps arithmetic within 64 bits.
_LAST_MS = 1 << 43

_WRAP_MS = 1 << 32


def fill_times(view: View, base: NDArray[Any], out: NDArray[Any]) -> None:
    """Fill in ``first_ms`` and ``last_ms``, Unix time by the exporter's clock.

    What the record does not say is taken from what it does: the end from the start and the duration, the start from the
    end; without either, both are when the datagram was sent.

    Args:
        view: The fields.
        base: What the datagrams said.
        out: Records of dtype ``FLOW``.
    """
    first, last = _time(view, base, "first"), _time(view, base, "last")
    duration_ms = _duration_ms(view)
    if last is None:
        last = base["export_ms"] if first is None or duration_ms is None else first + duration_ms
    if first is None:
        first = last if duration_ms is None else last - duration_ms
    out["first_ms"], out["last_ms"] = first, last


def _time(view: View, base: NDArray[Any], end: str) -> NDArray[Any] | None:
    if f"{end}_ms" in view:
        return _bounded(view.numbers(f"{end}_ms"))
    if f"{end}_s" in view:
        return _bounded(np.minimum(view.numbers(f"{end}_s"), _LAST_MS // 1000) * np.uint64(1000))
    if f"{end}_ntp" in view:
        stamp = view.numbers(f"{end}_ntp")
        seconds = (stamp >> np.uint64(32)).astype("<i8") - _NTP_S
        fraction_ms = ((stamp & np.uint64(0xFFFF_FFFF)) * np.uint64(1000) >> np.uint64(32)).astype("<i8")
        unix_ms: NDArray[Any] = np.maximum(seconds * 1000 + fraction_ms, 0)
        return unix_ms
    if f"{end}_uptime_ms" in view:
        return _since_boot(view, base, end)
    if f"{end}_ago_us" in view:
        ago_ms = _bounded(view.numbers(f"{end}_ago_us")) // 1000
        ago: NDArray[Any] = base["export_ms"] - ago_ms
        return ago
    return None


def _since_boot(view: View, base: NDArray[Any], end: str) -> NDArray[Any]:
    """Return times that count from the exporter's start; where nobody says when that was, the time of sending."""
    boot_ms = _bounded(view.numbers("boot_ms")) if "boot_ms" in view else base["boot_ms"]
    at_ms = boot_ms + _bounded(view.numbers(f"{end}_uptime_ms"))
    # The exporter's milliseconds wrap every 49.7 days: a flow that would be from the future is from before the wrap.
    at_ms = np.where(at_ms > base["export_ms"] + _WRAP_MS // 2, at_ms - _WRAP_MS, at_ms)
    since: NDArray[Any] = np.where(boot_ms > 0, at_ms, base["export_ms"])
    return since


def _duration_ms(view: View) -> NDArray[Any] | None:
    if "duration_ms" in view:
        return _bounded(view.numbers("duration_ms"))
    if "duration_us" in view:
        return _bounded(view.numbers("duration_us")) // 1000
    return None


def _bounded(values: NDArray[Any]) -> NDArray[Any]:
    bounded: NDArray[Any] = np.minimum(values, np.uint64(_LAST_MS)).astype("<i8")
    return bounded
