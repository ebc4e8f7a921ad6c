"""Whether and when to send a request again: a pure decision."""

from __future__ import annotations

import math
from collections.abc import Mapping

from skerry.errors import QueueFullError, SkerryError, StartError, TransportError, WorkerLostError

FIRST_DELAY_S = 0.05
MAX_DELAY_S = 2.0
# A request that has killed its worker this often is taken for the cause of it.
MAX_LOST_WORKERS = 3


def retry_delay_s(
    error: SkerryError,
    headers: Mapping[str, str],
    *,
    idempotent: bool,
    attempt: int,
    waited_s: float,
    patience_s: float,
    left_s: float | None = None,
) -> float | None:
    """Return how long to wait before sending the request again, or None to give up.

    A request that never left, or that was turned away for want of room, may always be sent again. One whose answer was
    lost may have run, and is sent again only if running twice is harmless.

    Args:
        error: What went wrong.
        headers: Headers of the response, if there was one, with names in lower case.
        idempotent: Whether the request may run twice.
        attempt: Attempts so far, from 1.
        waited_s: Seconds spent waiting between attempts so far.
        patience_s: Most seconds to spend waiting between attempts.
        left_s: Seconds until the caller's deadline; none without one.
    """
    delay_s: float = min(FIRST_DELAY_S * 2.0 ** min(attempt - 1, 10), MAX_DELAY_S)
    if isinstance(error, TransportError):
        allowed: bool = idempotent or not error.details.get("sent", True)
    elif isinstance(error, WorkerLostError):
        allowed = idempotent and attempt < MAX_LOST_WORKERS
    elif isinstance(error, StartError):
        # The engine has tried several times already; the person should see why without further delay.
        allowed = False
    else:
        allowed = isinstance(error, QueueFullError) or (error.http_status == 503 and error.retryable)
        delay_s = _retry_after_s(headers, default_s=delay_s)
    late = left_s is not None and delay_s >= left_s
    if not allowed or late or waited_s + delay_s > patience_s:
        return None
    return delay_s


def _retry_after_s(headers: Mapping[str, str], *, default_s: float) -> float:
    try:
        asked_s = float(headers["retry-after"])
    except (KeyError, ValueError):
        return default_s
    return default_s if math.isnan(asked_s) else max(asked_s, FIRST_DELAY_S)
