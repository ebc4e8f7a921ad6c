"""How long a request may wait for what it asks after."""

from __future__ import annotations

import math

from skerry.errors import MalformedBodyError
from skerry.runtime.message import Request

MAX_WAIT_S = 60.0


def wait_of(request: Request) -> float:
    """Return how long a request wants to wait, its parameter ``wait_s``: seconds from 0 to 60, 0 by default.

    Raises:
        MalformedBodyError: it is no number.
    """
    text = request.parameter("wait_s")
    try:
        wait_s = float(text or 0)
    except ValueError:
        wait_s = math.nan
    if math.isnan(wait_s):
        raise MalformedBodyError(f"wait_s = {text!r}: must be a number of seconds, such as 2.5")
    return max(0.0, min(MAX_WAIT_S, wait_s))
