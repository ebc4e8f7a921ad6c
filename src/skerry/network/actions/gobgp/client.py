"""GoBGP through its command line. Needs the Debian package ``gobgpd``."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

from skerry.errors import PlatformError
from skerry.network.actions.gobgp.routes import Component, Family, Route, drops, identity_of

PROGRAM = "gobgp"
TIMEOUT_S = 10.0
_ESTABLISHED = 6


class Gobgp:
    """A GoBGP daemon on this machine, or one that is reached through its API.

    Args:
        host: Where its API listens.
        port: On which port.

    Raises:
        PlatformError: the program is not on this machine.
    """

    def __init__(self, *, host: str, port: int) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise PlatformError("the program gobgp is not on this machine: apt install gobgpd")
        self._command = (program, "-u", host, "-p", str(port))
        self._where = f"{host} port {port}"

    def has_session(self) -> bool:
        """Return whether there is a router that is told of routes.

        Raises:
            PlatformError: the daemon does not answer.
        """
        neighbours = self._read("neighbor", "-j") or []
        return any(_state(neighbour) == _ESTABLISHED for neighbour in neighbours)

    def routes(self, families: Iterable[Family]) -> dict[tuple[Family, tuple[Component, ...]], bool]:
        """Return the routes of some families that are there now, and whether each drops packets.

        Raises:
            PlatformError: the daemon does not answer.
        """
        found = {}
        for family in families:
            printed = self._read("global", "rib", "-a", family, "-j") or {}
            for paths in printed.values():
                found[family, identity_of(paths[0])] = drops(paths[0])
        return found

    def add(self, route: Route, *, next_hop: str) -> None:
        """Announce a route.

        Raises:
            PlatformError: the daemon refused.
        """
        how = ["then", "discard" if route.drops else "accept"]
        if route.family in ("ipv4", "ipv6"):
            how = ["nexthop", next_hop, "community", "blackhole"]
        self._run("global", "rib", "add", "-a", route.family, *route.words, *how)

    def delete(self, family: Family, words: Sequence[str]) -> None:
        """Withdraw a route; one that is not there is no error.

        Raises:
            PlatformError: the daemon does not answer.
        """
        self._run("global", "rib", "del", "-a", family, *words)

    def _read(self, *words: str) -> Any:
        output = self._run(*words)
        try:
            return json.loads(output) if output.strip() else None
        except ValueError as error:
            raise PlatformError(f"gobgp {' '.join(words)} printed no JSON: {output[:200]!r}") from error

    def _run(self, *words: str) -> str:
        command = (*self._command, *words)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PlatformError(f"gobgp {' '.join(words)} did not end: {error}") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[:1]
            raise PlatformError(
                f"GoBGP at {self._where} refused `{' '.join(words)}`: {said[0] if said else 'it does not say why'}",
                hint="is gobgpd running, and is this where its --api-hosts listens?",
            )
        return done.stdout


def _state(neighbour: Any) -> int:
    state: int = neighbour.get("state", {}).get("session_state", 0)
    return state
