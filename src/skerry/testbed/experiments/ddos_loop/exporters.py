"""The exporters on the router: pmacct, which tells each packet, and softflowd, which tells flows once a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from skerry.testbed.experiments.ddos_loop.processes import Program

FLOW_PORT = 2055
INTERFACE = "to-access"
# A packet of so many is told.
SAMPLING = 10

PMACCT = f"""daemonize: false
pcap_interface: {INTERFACE}
plugins: nfprobe
aggregate: src_host, dst_host, src_port, dst_port, proto, tcpflags
nfprobe_receiver: 127.0.0.1:{FLOW_PORT}
nfprobe_version: 10
nfprobe_dont_cache: true
sampling_rate: {SAMPLING}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """One of the exporters.

    Args:
        start: Starts it in a network, with its files in a folder.
        window_ms: The windows that its records need.
        clock: By which clock.
    """

    start: Callable[[str, Path], Program]
    window_ms: int
    clock: str


def start_pmacct(network: str, folder: Path) -> Program:
    """Start pmacctd."""
    file = folder / "pmacct.conf"
    file.write_text(PMACCT)
    return Program(network, ["pmacctd", "-f", str(file)], folder)


def start_softflowd(network: str, folder: Path) -> Program:
    """Start softflowd, with each of its timers at a second."""
    timers = ("maxlife", "expint", "general", "tcp", "udp", "tcp.rst", "tcp.fin")
    # Relative to the folder where it runs: the path of a socket may not be long.
    words = f"softflowd -d -i {INTERFACE} -p softflowd.pid -c softflowd.ctl -n 127.0.0.1:{FLOW_PORT} -m 20000 -v 9"
    return Program(network, [*words.split(), *(word for timer in timers for word in ("-t", f"{timer}=1"))], folder)


EXPORTERS: Mapping[str, Exporter] = MappingProxyType(
    {
        "pmacct": Exporter(start=start_pmacct, window_ms=100, clock="last_ms"),
        "softflowd": Exporter(start=start_softflowd, window_ms=1000, clock="received_ms"),
    }
)
