"""Where the calls of a cluster's functions go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from skerry.platforms.http.connection import Address

# Longest answer that Knative waits for where nobody has set it higher (max-revision-timeout-seconds), seconds.
LONGEST_ANSWER_S = 600.0
# Time to start a pod in, beyond the time of the answer, seconds.
START_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How a function is reached.

    Args:
        address: Where to connect to: the ingress, the function's own Service, or the local end of a port-forward.
        host: Name under which the ingress knows the function; none where the address is the function's own.
        wait_s: Longest silence after which the answer has to be there, seconds: beyond it, its pod was lost.
    """

    address: Address
    host: str | None = None
    wait_s: float = LONGEST_ANSWER_S + START_S


class Routes:
    """The routes of functions, each found once; safe for threads.

    Args:
        find: Returns the route of a function; what it raises is not remembered.
    """

    def __init__(self, find: Callable[[str], Route]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._finding = threading.Lock()
        self._known: dict[str, Route] = {}

    def of(self, function: str) -> Route:
        """Return the route of a function."""
        known = self._get(function)
        if known is not None:
            return known
        with (
            self._finding
        ):  # calls of functions whose routes are known do not wait for a cluster that is slow to answer
            known = self._get(function)
            if known is None:
                known = self._find(function)
                with self._lock:
                    self._known[function] = known
            return known

    def clear(self) -> None:
        """Look for all routes anew."""
        with self._lock:
            self._known.clear()

    def _get(self, function: str) -> Route | None:
        with self._lock:
            return self._known.get(function)

    def forget(self, function: str, route: Route) -> bool:
        """Look for a function's route anew at its next call; return whether it was this one until now."""
        with self._lock:
            if self._known.get(function) is not route:
                return False
            del self._known[function]
            return True
