"""How this machine is managed: found in its environment and its files, to be kept open whatever happens."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path as FilePath

from skerry.network.actions.match import Address, Network, Protocol
from skerry.network.actions.policy import Path

DNS_PORT = 53
ROUTES_FILE = FilePath("/proc/net/route")
ROUTES_V6_FILE = FilePath("/proc/net/ipv6_route")
PROCESSES_FOLDER = FilePath("/proc")
SESSION = "SSH_CONNECTION"
RESOLVER_FILE = FilePath("/etc/resolv.conf")
_GATEWAY_FLAG = 0x2


def find_management_paths(
    variables: Mapping[str, str],
    *,
    routes: FilePath = ROUTES_FILE,
    routes_v6: FilePath = ROUTES_V6_FILE,
    resolver: FilePath = RESOLVER_FILE,
) -> tuple[Path, ...]:
    """Return the paths that must never be cut: the connection of this session, the gateways and the name servers.

    Args:
        variables: The environment; ``SSH_CONNECTION`` says who is logged in from where.
        routes: The kernel's table of routes of IPv4.
        routes_v6: That of IPv6.
        resolver: The file that names the name servers.
    """
    gateways = [*_gateways(_read(routes)), *_gateways_v6(_read(routes_v6))]
    paths = [*_session(variables.get(SESSION, "")), *gateways, *_resolvers(_read(resolver))]
    return tuple(dict.fromkeys(paths))


def inherit_session(
    variables: Mapping[str, str], *, processes: FilePath = PROCESSES_FOLDER, process_id: int | None = None
) -> Mapping[str, str]:
    """Return an environment with the session of the nearest process above that has one: `sudo` does not pass it on.

    Args:
        variables: The environment of this process; its own session is kept.
        processes: The kernel's folder of processes.
        process_id: This process; None to ask for it.
    """
    number = os.getpid() if process_id is None else process_id
    while SESSION not in variables and number > 1:
        parents = [line for line in _read(processes / str(number) / "status").splitlines() if line.startswith("PPid:")]
        number = int(parents[0].split()[1]) if parents else 0
        for entry in _read(processes / str(number) / "environ").split("\0"):
            name, _, value = entry.partition("=")
            if name == SESSION:
                return {**variables, SESSION: value}
    return variables


def _session(text: str) -> list[Path]:
    words = text.split()
    if len(words) != 4:
        return []
    peer, local = _address(words[0]), _address(words[2])
    if peer is None or local is None or peer.version != local.version or not words[3].isdigit():
        return []
    # The port of the peer is left out: the next session from there has another.
    return [Path(peer=_host(peer), local=_host(local), protocol=Protocol.TCP, local_port=int(words[3]))]


def _gateways(table: str) -> list[Path]:
    paths = []
    for line in table.splitlines()[1:]:
        words = line.split()
        with suppress(IndexError, ValueError):
            if int(words[3], 16) & _GATEWAY_FLAG:
                # The kernel prints the address in the byte order of the machine.
                gateway = IPv4Address(int(words[2], 16).to_bytes(4, sys.byteorder))
                paths.append(Path(peer=_host(gateway), local=_everywhere(gateway)))
    return paths


def _gateways_v6(table: str) -> list[Path]:
    paths = []
    for line in table.splitlines():
        words = line.split()
        with suppress(IndexError, ValueError):
            if int(words[8], 16) & _GATEWAY_FLAG:
                gateway = IPv6Address(bytes.fromhex(words[4]))
                paths.append(Path(peer=_host(gateway), local=_everywhere(gateway)))
    return paths


def _resolvers(text: str) -> list[Path]:
    paths = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        server = _address(words[1])
        if server is not None and not server.is_loopback:
            for protocol in (Protocol.UDP, Protocol.TCP):
                peer = _host(server)
                paths.append(Path(peer=peer, local=_everywhere(server), protocol=protocol, peer_port=DNS_PORT))
    return paths


def _address(text: str) -> Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _host(address: Address) -> Network:
    return ip_network(address)


def _everywhere(address: Address) -> Network:
    return ip_network("0.0.0.0/0" if address.version == 4 else "::/0")


def _read(path: FilePath) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""
