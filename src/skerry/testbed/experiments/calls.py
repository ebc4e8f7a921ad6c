"""A call whose time is taken apart: what the client spent, what the network took, what the site says about itself."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skerry.app.encoding import MSGPACK
from skerry.app.function import BaseFunction
from skerry.platforms import CallOptions
from skerry.testbed.experiments.measures import PHASES
from skerry.testbed.experiments.place import SiteAddress

if TYPE_CHECKING:
    from skerry.platforms.engine.client import EnginePlatform

JSON = "application/json"
_METRIC = re.compile(r"([a-z_]+);dur=([0-9.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedCall:
    """One call, taken apart.

    Args:
        value: What the function returned.
        began_s: When the client began to encode, by its monotonic clock.
        ended_s: When the client had decoded the answer.
        phases: Seconds by phase, `PHASES`; they sum up to the time between.
        bytes_sent: Length of the request's body.
        bytes_received: Length of the answer's body.
        site: Who answered.
    """

    value: Any
    began_s: float
    ended_s: float
    phases: Mapping[str, float]
    bytes_sent: int
    bytes_received: int
    site: str


def call(
    function: BaseFunction[Any, Any],
    site: SiteAddress,
    *args: Any,
    content_type: str = MSGPACK,
    over: EnginePlatform | None = None,
) -> TimedCall:
    """Call a function at a site, over a connection of its own unless told otherwise, and take the time apart.

    ``upload`` is what the network takes before the answer's first byte: connecting, the request's way, and the way of
    the answer's head. ``download`` is the rest of the answer's way. ``queue``, ``cold_start`` and ``compute`` are what
    the site says; ``other`` is what nobody has a name for, such as decoding on both sides.

    Args:
        function: The function.
        site: Where.
        args: Its arguments.
        content_type: How they are written.
        over: A client of the site, whose connection is used and kept.
    """
    began_s = time.monotonic()
    body = function.signature.encode_call(args, {}, content_type)
    encoded_s = time.monotonic()
    platform = site.caller() if over is None else over
    try:
        options = CallOptions(idempotent=True, timing=True)
        with platform.stream(function.name, body, content_type=content_type, accept=MSGPACK, options=options) as answer:
            head_s = time.monotonic()
            content = b"".join(answer)
            received_s = time.monotonic()
            value = function.signature.decode_result(content, answer.content_type, answer.headers)
            said = read_server_timing(answer.headers.get("server-timing", ""))
    finally:
        if over is None:
            platform.close()
    ended_s = time.monotonic()
    phases = split_phases(began_s, encoded_s, head_s, received_s, ended_s, said)
    return TimedCall(
        value=value,
        began_s=began_s,
        ended_s=ended_s,
        phases=phases,
        bytes_sent=len(body),
        bytes_received=len(content),
        site=site.name,
    )


def split_phases(
    began_s: float, encoded_s: float, head_s: float, received_s: float, ended_s: float, said: Mapping[str, float]
) -> dict[str, float]:
    """Return seconds by phase; together they are ``ended_s - began_s``.

    Args:
        began_s: The client began to encode.
        encoded_s: The request was ready to be sent.
        head_s: The head of the answer was there.
        received_s: The whole answer was there.
        ended_s: It was decoded.
        said: Seconds that the site says: ``total``, ``queue``, ``start``, ``handler``; where it says nothing, its time
            counts as upload.
    """
    phases = dict.fromkeys(PHASES, 0.0)
    phases["encode_s"] = encoded_s - began_s
    phases["upload_s"] = max(0.0, head_s - encoded_s - said.get("total", 0.0))
    phases["queue_s"] = said.get("queue", 0.0)
    phases["cold_start_s"] = said.get("start", 0.0)
    phases["compute_s"] = said.get("handler", 0.0)
    phases["download_s"] = received_s - head_s
    phases["other_s"] = ended_s - began_s - sum(phases.values())
    return phases


def read_server_timing(header: str) -> dict[str, float]:
    """Return the seconds by name that a ``server-timing`` header says."""
    return {name: float(duration) / 1000 for name, duration in _METRIC.findall(header)}


def measure_together(calls: Sequence[TimedCall], *, began_s: float, ended_s: float) -> dict[str, float]:
    """Return the measures of calls that ran side by side: the phases of the one that ended last, which all waited for.

    Args:
        calls: At least one.
        began_s: When the first thing for them was done, by the client's monotonic clock.
        ended_s: When everything was known.
    """
    last = max(calls, key=lambda one: one.ended_s)
    phases = dict(last.phases)
    response_s = ended_s - began_s
    phases["other_s"] += response_s - (last.ended_s - last.began_s)
    return {
        "response_time_s": response_s,
        **phases,
        "bytes_sent": float(sum(one.bytes_sent for one in calls)),
        "bytes_received": float(sum(one.bytes_received for one in calls)),
        "calls": float(len(calls)),
    }
