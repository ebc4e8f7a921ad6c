"""The meter: a process in the router that counts packets of the attacker and of the client, before and after rules.

It reads counters of nftables in a table of its own, some times a second, and tells the first packet of the attacker.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from typing import Any

from skerry.network.actions.nftables.library import Nftables
from skerry.testbed.experiments.ddos_loop.saying import say
from skerry.testbed.experiments.ddos_loop.star import SCOPE

EVERY_S = 0.02
TABLE = "meter"
ETH_P_IP = 0x0800
COUNTERS = ("attacker_in", "attacker_out", "client_in", "client_out")


def add_counters(rules: Nftables) -> None:
    """Add the table: what comes in is counted before all rules, what goes out after them."""
    place = {"family": "inet", "table": TABLE}
    commands: list[dict[str, Any]] = [{"add": {"table": {"family": "inet", "name": TABLE}}}]
    commands += [{"add": {"counter": {**place, "name": name}}} for name in COUNTERS]
    for chain, hook, priority in (("in", "prerouting", -500), ("out", "forward", 100)):
        hooked = {"type": "filter", "hook": hook, "prio": priority, "policy": "accept"}
        commands.append({"add": {"chain": {**place, "name": chain, **hooked}}})
        for host in ("attacker", "client"):
            value = {"prefix": {"addr": str(SCOPE.network_address), "len": SCOPE.prefixlen}}
            expressions = [
                {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": f"to-{host}"}},
                {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": value}},
                {"counter": f"{host}_{chain}"},
            ]
            commands.append({"add": {"rule": {**place, "chain": chain, "expr": expressions}}})
    rules.run(commands)


def read_counters(rules: Nftables) -> list[int]:
    """Return the packets of each counter."""
    listed = rules.run([{"list": {"counters": {"family": "inet", "table": TABLE}}}])
    found = {entry["counter"]["name"]: entry["counter"]["packets"] for entry in listed if "counter" in entry}
    return [found[name] for name in COUNTERS]


def tell_first_packet() -> None:
    """Print when the first IP packet of the attacker comes."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP)) as reading:
        reading.bind(("to-attacker", ETH_P_IP))
        while reading.recvfrom(64)[1][2] == socket.PACKET_OUTGOING:
            continue
        say(first_packet_s=time.monotonic())


def main() -> None:
    """Count until interrupted."""
    rules = Nftables()
    rules.run(
        [
            {"add": {"table": {"family": "inet", "name": TABLE}}},
            {"delete": {"table": {"family": "inet", "name": TABLE}}},
        ]
    )
    add_counters(rules)
    threading.Thread(target=tell_first_packet, daemon=True).start()
    say(ready=True)
    last: list[int] = []
    try:
        while True:
            now_s, counts = time.monotonic(), read_counters(rules)
            if counts != last:
                say(at_s=round(now_s, 4), counts=counts)
                last = counts
            time.sleep(EVERY_S)
    except KeyboardInterrupt:
        say(at_s=round(time.monotonic(), 4), counts=read_counters(rules))
        sys.exit(0)


if __name__ == "__main__":
    main()
