"""What a trial may do in its middle to sites and to the links between them and the client."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from skerry.errors import ConfigError
from skerry.testbed.links import Conditions, DirectionName
from skerry.testbed.links.base import CUT, Link

SLOWER = ("delay_ms", "jitter_ms")


class Disturbances:
    """Kills sites, cuts links or slows them down, and makes all of it good again.

    Args:
        names: The sites.
        link: Returns the link between the client and a site.
        pid: Returns the process id of a site's engine, which leads a session of its own.
        start: Starts the engine of a site that was killed.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        link: Callable[[str], Link],
        pid: Callable[[str], int],
        start: Callable[[str], None],
    ) -> None:
        self._names = tuple(names)
        self._link = link
        self._pid = pid
        self._start = start
        self._killed: set[str] = set()
        self._timers: list[threading.Timer] = []
        self._orders: dict[str, Callable[..., None]] = {
            "kill": self._kill,
            "cut": self._cut,
            "slow": self._slow,
            "restore": self._restore,
        }

    def knows(self, what: str) -> bool:
        """Whether there is such an order."""
        return what in self._orders

    def carry_out(self, what: str, how: Mapping[str, Any]) -> None:
        """Carry out an order: ``kill`` or ``slow`` a site, ``cut`` it for a time, or ``restore`` everything.

        Raises:
            ConfigError: there is no such site, or something is missing.
        """
        try:
            self._orders[what](**how)
        except TypeError as error:
            raise ConfigError(f"{what}: {error}") from error

    def end(self) -> None:
        """Forget what was to happen later."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _kill(self, site: str) -> None:
        """End a site without a word, as a power cut does."""
        self._require(site)
        with suppress(ProcessLookupError):
            os.killpg(self._pid(site), signal.SIGKILL)
        self._killed.add(site)

    def _cut(self, site: str, for_s: float) -> None:
        """Cut the link between the client and a site for so long; nobody is told."""
        self._change(site, lambda _: CUT)
        timer = threading.Timer(for_s, lambda: self._mend(site))
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _slow(self, site: str, factor: float) -> None:
        """Make the link between the client and a site slower by a factor: its delay, its jitter, its rate."""
        self._change(site, lambda conditions: _slower(conditions, factor))

    def _restore(self) -> None:
        """Set every link to what it was, and start what was killed."""
        self.end()
        for site in self._names:
            self._mend(site)
        for site in sorted(self._killed):
            self._start(site)
        self._killed.clear()

    def _mend(self, site: str) -> None:
        # All of them, and not `to_dict`, which leaves out a loss of 0: a cut would last for ever.
        self._change(site, asdict)

    def _change(self, site: str, changes: Callable[[Conditions], dict[str, Any]]) -> None:
        self._require(site)
        link = self._link(site)
        directions: tuple[tuple[DirectionName, Conditions], ...] = (
            ("forward", link.conditions.forward),
            ("backward", link.conditions.backward),
        )
        for name, conditions in directions:
            link.change(name, changes(conditions))

    def _require(self, site: str) -> None:
        if site not in self._names:
            raise ConfigError(f"there is no site {site!r}; there are {', '.join(self._names)}")


def _slower(conditions: Conditions, factor: float) -> dict[str, Any]:
    plain = conditions.to_dict()
    changed = {name: plain[name] * factor for name in SLOWER if plain.get(name)}
    if plain.get("rate_mbps"):
        changed["rate_mbps"] = plain["rate_mbps"] / factor
    return changed
