"""The attacks, as programs in the attacker's network, and the controls: clients of the victim, in the client's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from skerry.learn.shared_data import shared_folder
from skerry.network.detection.ending import EndRules
from skerry.testbed.experiments.ddos_loop.processes import Program
from skerry.testbed.experiments.ddos_loop.star import CLIENTS, PORT, VICTIM

SYN = f"hping3 -q -S -p {PORT} --flood --rand-source"
RECORDED = Path("pcap_ddos/amp.UDP.isakmp.pcap.gz")
REPLAYED_PER_S = 8000
SLOW_CONNECTIONS = 250
CROWD_PER_S = 200
STEADY_CLIENTS = 20
SPEED_TEST_PORT = 5202
# How long is waited for rules to be withdrawn. Those of slow attacks have to see silence for longer, and what they have
# dropped is sent again by both ends of each connection for one or two minutes, less and less often.
LET_GO_S = 12.0
SLOW_LET_GO_S = EndRules().slow_quiet_s + 105.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """An attack, or a control that looks like one.

    Args:
        title: What it is, for people.
        start: Starts it in a network, with its files in a folder.
        where: Role of the network.
        says_ready: Whether its program says when it begins; others begin at once.
        let_go_s: How long, at most, is waited after its end for rules to be withdrawn, seconds.
    """

    title: str
    start: Callable[[str, Path], Program]
    where: str = "attacker"
    says_ready: bool = False
    let_go_s: float = LET_GO_S


def _flood(network: str, folder: Path) -> Program:
    return Program(network, [*SYN.split(), VICTIM], folder)


def _flood_with_options(network: str, folder: Path) -> Program:
    return Program(network, [*SYN.split(), "--tcp-mss", "1460", "--tcp-timestamp", VICTIM], folder)


def _replay(network: str, folder: Path) -> Program:
    recorded = shared_folder() / RECORDED
    settings = {"capture": str(recorded) if recorded.is_file() else "", "per_s": REPLAYED_PER_S}
    return Program.python(network, "replay", settings, folder)


def _hold(network: str, folder: Path) -> Program:
    return Program.python(network, "slow", {"connections": SLOW_CONNECTIONS}, folder)


def _crowd(network: str, folder: Path) -> Program:
    return Program.python(network, "web", visitors(STEADY_CLIENTS, len(CLIENTS), CROWD_PER_S), folder)


def _speed_test(network: str, folder: Path) -> Program:
    words = f"iperf3 -c {VICTIM} -p {SPEED_TEST_PORT} -B {CLIENTS[1]} -t 600 -P 4"
    return Program(network, words.split(), folder)


def visitors(first: int, until: int, per_s: float) -> dict[str, object]:
    """Return the settings of clients that open connections.

    Args:
        first: Number of the first client's address.
        until: Number behind that of the last one.
        per_s: Connections in a second, of all of them.
    """
    return {"role": "client", "first": first, "sources": until - first, "per_s": per_s}


ATTACKS: Mapping[str, Disturbance] = MappingProxyType(
    {
        "syn-flood": Disturbance(title="opening packets of 40 bytes from forged sources", start=_flood),
        "syn-options": Disturbance(
            title="opening packets with TCP options, as clients send them, from forged sources",
            start=_flood_with_options,
        ),
        "amplification": Disturbance(title="a recorded UDP amplification, replayed", start=_replay, says_ready=True),
        "low-and-slow": Disturbance(
            title="connections that are held open and take all places",
            start=_hold,
            says_ready=True,
            let_go_s=SLOW_LET_GO_S,
        ),
    }
)
CONTROLS: Mapping[str, Disturbance] = MappingProxyType(
    {
        "flash-crowd": Disturbance(
            title="ten times as many clients, at once", start=_crowd, where="client", says_ready=True
        ),
        "speed-test": Disturbance(title="a client that fills the link", start=_speed_test, where="client"),
    }
)
