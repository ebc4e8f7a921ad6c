"""The star: a client and an attacker behind a router, and a victim behind a thin link. Needs root and iproute2."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skerry.errors import ConfigError
from skerry.testbed.experiments.place import Place, SiteAddress, start_process
from skerry.testbed.links.namespace import (
    add_namespace,
    delete_namespace,
    list_namespaces,
    run_tool,
    set_kernel_value,
)

HOSTS = {"attacker": 1, "client": 2, "access": 4}
ROLES = ("router", "victim", *HOSTS)
VICTIM = "10.9.3.2"
ATTACKER = "10.9.1.2"
SCOPE = ip_network("10.9.3.0/24")
CLIENTS = tuple(f"10.9.2.{number}" for number in range(2, 242))
RATE_MBPS = 15
# As long as 30 ms of the thin link.
QUEUE = f"rate {RATE_MBPS}mbit burst 16kb latency 30ms"
PORT = 8080


class StarPlace(Place):
    """Five networks: attacker and client, the router, the far end of the access, and the victim.

    The router sees and stops what is offered to the victim; the 15 Mbit/s are behind it, so that attacks fill them.

    Args:
        folder: The run's folder; the networks' names are made of it.
    """

    name = "a star of networks"

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            raise ConfigError(
                "ddos-loop needs root, for networks and rules of its own: run it in a root shell (sudo -s)"
            )
        self._mark = f"skd{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}-"

    @property
    def sites(self) -> Mapping[str, SiteAddress]:
        """No sites: nothing is called here."""
        return {}

    def start_client(self, argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
        """Start a process on this machine; it enters the networks by itself."""
        return start_process(argv, log=log)

    def roots(self) -> list[int]:
        """Return no process: all that runs is below the client."""
        return []

    def describe(self) -> dict[str, Any]:
        """Return the shape of the network."""
        return {
            "network": "client and attacker - router - access - victim, each a network namespace",
            "thin link": f"access to victim: tbf {QUEUE}",
            "exporters": "on the router, at its interface to the access: what is left after its rules",
            "rules": "nftables on the router, before the thin link",
            "clients": f"{len(CLIENTS)} addresses",
        }

    def disturb(self, what: str, how: Mapping[str, Any]) -> Any:
        """Tell the names of the networks: ``networks``."""
        if what != "networks":
            return super().disturb(what, how)
        return {role: f"{self._mark}{role}" for role in ROLES}

    def __enter__(self) -> Self:
        self._remove()
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _build(self) -> None:
        for role in ROLES:
            add_namespace(f"{self._mark}{role}")
            for key, value in (
                ("net.ipv4.ip_forward", "1"),
                ("net.ipv4.conf.all.rp_filter", "0"),
                ("net.ipv4.conf.default.rp_filter", "0"),
            ):
                set_kernel_value(f"{self._mark}{role}", key, value)
        for host, number in HOSTS.items():
            self._link("router", f"to-{host}", f"10.9.{number}.1", host, "eth0", f"10.9.{number}.2")
            self._run(host, f"route add default via 10.9.{number}.1")
        self._link("access", "to-victim", "10.9.3.1", "victim", "eth0", VICTIM)
        self._run("victim", "route add default via 10.9.3.1")
        self._run("router", f"route add {SCOPE} via 10.9.4.2")
        run_tool(["tc", "-n", f"{self._mark}access", *f"qdisc add dev to-victim root tbf {QUEUE}".split()])
        more = "".join(f"addr add {address}/24 dev eth0\n" for address in CLIENTS[1:])
        run_tool(["ip", "-n", f"{self._mark}client", "-batch", "-"], stdin=more)

    def _link(self, one: str, its: str, address: str, other: str, its_other: str, other_address: str) -> None:
        names = f"{self._mark}{one}", f"{self._mark}{other}"
        run_tool(f"ip link add {its} netns {names[0]} type veth peer name {its_other} netns {names[1]}".split())
        for role, interface, own in ((one, its, address), (other, its_other, other_address)):
            self._run(role, f"addr add {own}/24 dev {interface}")
            self._run(role, f"link set {interface} up")
            set_kernel_value(f"{self._mark}{role}", f"net.ipv4.conf.{interface}.rp_filter", "0")

    def _run(self, role: str, words: str) -> None:
        run_tool(["ip", "-n", f"{self._mark}{role}", *words.split()])

    def _remove(self) -> None:
        for name in list_namespaces(self._mark):
            # Whoever is left in a network of ours was started by a run in this folder.
            for pid in run_tool(["ip", "netns", "pids", name]).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            delete_namespace(name)
