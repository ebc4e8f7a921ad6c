"""Flow records and features as rows for people."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from skerry.cli.console import Console
from skerry.cli.units import size

RECORD_COLUMNS = ("TIME", "SOURCE", "DESTINATION", "PROTOCOL", "FLAGS", "PACKETS", "BYTES", "SECONDS", "SAMPLING")
FEATURE_COLUMNS = (
    "TIME",
    "DESTINATION",
    "PROTOCOL",
    "PACKETS/S",
    "BYTES/S",
    "SOURCES",
    "ENTROPY",
    "SYN",
    "NEW",
    "SIZE",
)

_PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmp6", 132: "sctp"}
_FLAGS = "FSRPAUEC"


def record_row(row: Mapping[str, Any]) -> list[str]:
    """Return a record as the words of ``RECORD_COLUMNS``."""
    return [
        _clock(row["first_ms"]),
        _end(row["source"], row["source_port"]),
        _end(row["destination"], row["destination_port"]),
        _protocol(row["protocol"]),
        "".join(letter for bit, letter in enumerate(_FLAGS) if row["tcp_flags"] >> bit & 1) or "-",
        f"{row['packets']:.15g}",
        f"{row['bytes']:.15g}",
        f"{max(row['last_ms'] - row['first_ms'], 0) / 1000:.3g}",
        f"{row['sampling']:.6g}",
    ]


def feature_row(start_ms: int, row: Mapping[str, Any]) -> list[str]:
    """Return features as the words of ``FEATURE_COLUMNS``."""
    return [
        _clock(start_ms),
        row["destination"],
        _protocol(row["protocol"]),
        f"{row['packet_rate']:.6g}",
        size(int(row["byte_rate"])),
        f"{row['sources']:.0f}",
        f"{row['source_entropy_bits']:.2f}",
        f"{row['syn_ratio']:.2f}",
        f"{row['new_source_ratio']:.2f}",
        f"{row['packet_bytes']:.0f}",
    ]


def say_counts(console: Console, counts: Mapping[str, Any], dropped: int | None = None) -> None:
    """Say what was read, and all that was not, in one line for each kind."""
    console.message(f"{counts['datagrams']} datagrams, {counts['records']} records, {counts['templates']} templates")
    trouble: Sequence[str] = [
        *[f"{counts[name]} {words}" for name, words in _TROUBLE.items() if counts[name]],
        *[f"{number} refused: {reason.replace('_', ' ')}" for reason, number in counts["refused"].items()],
    ]
    if dropped:
        trouble = [*trouble, f"{dropped} datagrams dropped by the kernel"]
    if trouble:
        console.message("; ".join(trouble))


_TROUBLE = {
    "lost": "lost on the way, by sequence numbers",
    "late": "late",
    "restarts": "restarts of exporters",
    "sets_dropped": "sets without a template",
}


def _clock(at_ms: int) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(at_ms / 1000))}.{at_ms % 1000:03d}"


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _protocol(number: int) -> str:
    return _PROTOCOLS.get(number, str(number))
