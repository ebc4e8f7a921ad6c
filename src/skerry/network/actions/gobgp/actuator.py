"""Actions as FlowSpec rules and black holes, which GoBGP announces to the routers that are its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from skerry.errors import PlatformError
from skerry.network.actions.action import Action
from skerry.network.actions.actuator import Actuator, Hits
from skerry.network.actions.files import ActionFiles
from skerry.network.actions.gobgp.client import Gobgp
from skerry.network.actions.gobgp.routes import FAMILIES, Component, Family, Route, routes_of

DISCARD_V4 = "192.0.2.1"
DISCARD_V6 = "100::1"
Identity = tuple[Family, tuple[Component, ...]]


class GobgpActuator(Actuator):
    """Carries actions out on other machines: it announces routes, and the routers that hear them drop the packets.

    An action becomes FlowSpec rules, one for each source; one that takes everything from its destination becomes a
    black hole for it. Routes do not carry an action's id, so they are kept in a file with that name. They have no
    time-out: what nobody withdraws stays until the daemon ends. And nobody tells what they have dropped.

    Args:
        folder: Where the files with the routes are; one folder for one daemon.
        host: Where the daemon's API listens.
        port: On which port.
        next_hops: Where a black hole leads, for IPv4 and IPv6: what the routers discard.

    Raises:
        PlatformError: GoBGP is not on this machine.
    """

    name: ClassVar[str] = "gobgp"

    def __init__(
        self,
        *,
        folder: Path,
        host: str = "127.0.0.1",
        port: int = 50051,
        next_hops: tuple[str, str] = (DISCARD_V4, DISCARD_V6),
    ) -> None:
        self._folder = folder
        self._files = ActionFiles(folder, suffix=".routes")
        self._host = host
        self._port = port
        self._next_hops = next_hops
        self._gobgp = Gobgp(host=host, port=port)

    def close(self) -> None:
        """Do nothing: each command is a conversation of its own."""

    def settings(self) -> Mapping[str, Any]:
        """Return what another process needs to withdraw what this one applied."""
        place = {"folder": str(self._folder.absolute()), "host": self._host, "port": self._port}
        return {**place, "next_hops": list(self._next_hops)}

    def check(self, action: Action) -> None:
        """Find out whether routes can say an action, and whether somebody would hear them.

        Raises:
            PlatformError: it would not be taken, and why.
        """
        routes = routes_of(action)
        if not self._gobgp.has_session():
            raise PlatformError("no neighbour has a session with GoBGP: nobody would hear of the rule")
        self._check_new(routes)

    def apply(self, action: Action, *, timeout_s: float) -> None:
        """Announce an action's routes, all or none. The time-out is the keeper's: a route has none.

        Raises:
            PlatformError: one was refused; nothing has changed.
        """
        routes = routes_of(action)
        with self._files.locked():
            if self._files.has(action.id):
                raise PlatformError(f"an action {action.id} is in force already")
            self._check_new(routes)
            self._files.write(action.id, _plain(routes))
            try:
                for route in routes:
                    next_hop = self._next_hops[0 if route.family.startswith("ipv4") else 1]
                    self._gobgp.add(route, next_hop=next_hop)
                there = self._gobgp.routes({route.family for route in routes})
                wrong = [route for route in routes if there.get((route.family, route.identity)) is not route.drops]
                if wrong:
                    raise PlatformError(f"GoBGP has not taken the route {' '.join(wrong[0].words)} as it was meant")
            except BaseException:
                with suppress(PlatformError):  # else the file stays, and whoever withdraws the action tries again
                    self._take_back(action.id)
                raise

    def renew(self, action: Action, *, timeout_s: float) -> None:
        """Make sure that an action is in force: there is no time-out to be set.

        Raises:
            PlatformError: it is not in force any more, or not all of it.
        """
        there = self._announced().get(action.id)
        if not there:
            raise PlatformError(f"action {action.id} is not in force any more: it was withdrawn")
        if not all(there):
            raise PlatformError(f"of action {action.id} only {sum(there)} of {len(there)} routes are announced")

    def withdraw(self, action_id: str) -> bool:
        """Withdraw an action's routes.

        Raises:
            PlatformError: the daemon does not answer.
        """
        with self._files.locked():
            if not self._files.has(action_id):
                return False
            self._take_back(action_id)
            return True

    def applied(self) -> Mapping[str, Hits]:
        """Return the actions of which a route is announced, be it one of many. Nobody counts what they drop."""
        return {name: Hits(packets=0, bytes=0, counted=False) for name in self._announced()}

    def _announced(self) -> dict[str, list[bool]]:
        """Return for each of an action's routes whether it is announced; nothing of actions of which none is."""
        ids = self._files.ids()
        if not ids:
            return {}
        there = self._gobgp.routes(FAMILIES)
        found = {name: [key in there for key, _ in self._read(name)] for name in ids}
        return {name: routes for name, routes in found.items() if any(routes)}

    def _check_new(self, routes: Sequence[Route]) -> None:
        there = self._gobgp.routes({route.family for route in routes})
        for route in routes:
            if (route.family, route.identity) in there:
                raise PlatformError(f"there is a route {' '.join(route.words)} already; it would be replaced")

    def _take_back(self, action_id: str) -> None:
        # Routes that spare are announced first, and go last: at no moment is a spared source dropped.
        for (family, _), words in reversed(self._read(action_id)):
            self._gobgp.delete(family, words)
        self._files.remove(action_id)

    def _read(self, action_id: str) -> list[tuple[Identity, list[str]]]:
        held = self._files.read(action_id)
        return [((item["family"], _identity(item["identity"])), item["words"]) for item in held]


def _plain(routes: Sequence[Route]) -> list[dict[str, Any]]:
    return [{"family": route.family, "words": route.words, "identity": route.identity} for route in routes]


def _identity(plain: Sequence[Any]) -> tuple[Component, ...]:
    return tuple((kind, value if isinstance(value, str) else tuple(map(tuple, value))) for kind, value in plain)
