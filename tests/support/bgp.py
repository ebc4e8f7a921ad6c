"""Two BGP daemons that are neighbours: ours in the thread's network, and a router's in a network of its own."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

OURS, THEIRS = "10.0.99.1", "10.0.99.2"
FAMILIES = ("ipv4-unicast", "ipv6-unicast", "ipv4-flowspec", "ipv6-flowspec")
API_PORT = 50051


def missing_for_bgp() -> str:
    """Return why BGP cannot be tried on this machine; empty when it can."""
    missing = [program for program in ("gobgpd", "gobgp", "ip") if shutil.which(program) is None]
    if os.geteuid() != 0:
        return "needs root"
    return f"needs the program {missing[0]} (Debian: gobgpd, iproute2)" if missing else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """The neighbour, in its network namespace."""

    name: str

    def routes(self, family):
        """Return the routes that it has heard of, without their age, by their text."""
        command = ["ip", "netns", "exec", self.name, "gobgp", "global", "rib", "-a", family, "-j"]
        printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout or "{}")
        for paths in printed.values():
            for path in paths:
                path.pop("age")
        return printed


@contextmanager
def bgp_neighbours(folder) -> Iterator[Router]:
    """Run a block with a daemon of ours, at its usual port, and the router's, with a session between them."""
    router = Router(name=f"skerry-bgp-{os.getpid()}")
    inside = ["ip", "netns", "exec", router.name]
    subprocess.run(["ip", "netns", "add", router.name], check=True)
    daemons = []
    try:
        commands = [
            ["ip", "link", "add", "bgp0", "type", "veth", "peer", "name", "bgp1", "netns", router.name],
            ["ip", "address", "add", f"{OURS}/24", "dev", "bgp0"],
            ["ip", "link", "set", "bgp0", "up"],
            [*inside, "ip", "address", "add", f"{THEIRS}/24", "dev", "bgp1"],
            [*inside, "ip", "link", "set", "bgp1", "up"],
            [*inside, "ip", "link", "set", "lo", "up"],
        ]
        for command in commands:
            subprocess.run(command, check=True)
        for place, address, neighbour in (([], OURS, THEIRS), (inside, THEIRS, OURS)):
            file = folder / f"{address}.toml"
            file.write_text(_settings(address, neighbour))
            log = (folder / f"{address}.log").open("w")
            with log:
                command = [*place, "gobgpd", "-f", str(file), "--api-hosts", f"127.0.0.1:{API_PORT}"]
                daemons.append(subprocess.Popen(command, stdout=log, stderr=log))
        wait_for(_established, timeout_s=120)
        yield router
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
        subprocess.run(["ip", "netns", "delete", router.name], check=True)


def our_routes():
    """Return the routes of our daemon, as it prints them, without their age."""
    found = {}
    for family in FAMILIES:
        command = ["gobgp", "global", "rib", "-a", family.removesuffix("-unicast"), "-j"]
        printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout or "{}")
        found[family] = {
            name: [{key: value for key, value in path.items() if key != "age"} for path in paths]
            for name, paths in printed.items()
        }
    return found


def wait_for(condition, *, timeout_s=60):
    """Wait until something is so."""
    ends_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends_at, "it has not happened in time"
        time.sleep(0.05)


def _established():
    done = subprocess.run(["gobgp", "neighbor", "-j"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and '"session_state":6' in done.stdout.replace(" ", "")


def _settings(address, neighbour):
    # The router calls, soon and again: to wait for a first attempt would take longer than the test.
    timers = "[neighbors.timers.config]\n  connect-retry = 1\n  idle-hold-time-after-reset = 1\n"
    passive = f"[neighbors.transport.config]\n  passive-mode = {'true' if address == OURS else 'false'}\n"
    families = "".join(
        f'[[neighbors.afi-safis]]\n  [neighbors.afi-safis.config]\n  afi-safi-name = "{name}"\n' for name in FAMILIES
    )
    number = {OURS: 65001, THEIRS: 65002}
    return (
        f'[global.config]\nas = {number[address]}\nrouter-id = "{address}"\nlocal-address-list = ["{address}"]\n'
        f'[[neighbors]]\n[neighbors.config]\nneighbor-address = "{neighbour}"\npeer-as = {number[neighbour]}\n'
        f"{timers}{passive}{families}"
    )
