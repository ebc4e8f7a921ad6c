"""The place of a request in a trace, as the headers ``traceparent`` and ``tracestate`` carry it.

Source: W3C, Trace Context (Recommendation), and level 2 for the flag that says that a trace id is random.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SAMPLED = 0x01
KNOWN_FLAGS = 0x03  # sampled and random; those of later versions must not be passed on
MAX_STATE_CHARACTERS = 4096

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)

# Most of what comes where few traces are sampled; told apart in half the time.
_UNSAMPLED = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]")
_EVEN = frozenset(bytes([digit]) for digit in b"02468ace")


class TraceContext(NamedTuple):
    """One span's identity.

    Args:
        trace_id: 32 hexadecimal digits in lower case.
        span_id: 16 of them.
        flags: `SAMPLED` and others.
        state: The ``tracestate`` header as it came; nobody here reads it.
    """

    trace_id: str
    span_id: str
    flags: int = SAMPLED
    state: str = ""

    @property
    def is_sampled(self) -> bool:
        """Whether the caller recorded its part of the trace."""
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        """The header's value, in version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self, span_id: str) -> TraceContext:
        """Return the identity of a span below this one."""
        return TraceContext(self.trace_id, span_id, self.flags, self.state)


def is_unsampled(header: bytes) -> bool:
    """Whether a ``traceparent`` header is valid, of version 00, and of a trace that its caller does not record."""
    return header[-1:] in _EVEN and _UNSAMPLED.fullmatch(header) is not None


def parse_traceparent(text: str, state: str = "") -> TraceContext | None:
    """Return what a ``traceparent`` header says; none when it is not valid, and the trace begins anew.

    Args:
        text: The header's value. A later version is read by its first four fields, as the standard demands.
        state: The ``tracestate`` header; one that is very long is dropped.
    """
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "00" and more is not None:
        return None
    kept = state if len(state) <= MAX_STATE_CHARACTERS else ""
    return TraceContext(trace_id, span_id, int(flags, 16) & KNOWN_FLAGS, kept)
