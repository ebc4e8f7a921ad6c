"""A place where several parties wait until all of them are there."""

from __future__ import annotations

from skerry.errors import ConfigError, DeadlineExceededError
from skerry.store.state.keys import own_key
from skerry.store.state.operation import Operation, Verb
from skerry.store.state.scope import Scope
from skerry.store.state.values import encode_value, ttl_ms

TTL_S = 86400.0
_LONGEST_WAIT_S = 1.0


class Barrier:
    """A barrier that is passed once; made by `State.barrier`.

    A party is counted by its name, so one that was killed and runs again is not counted twice, and passes at once when
    all have been there. Rounds take one barrier each: ``state.barrier(f"round-{number}", 8)``. A barrier is forgotten a
    day after its first party has come.

    Args:
        scope: The state.
        name: The barrier's name.
        parties: How many have to come, from 1.
    """

    def __init__(self, scope: Scope, name: str, parties: int) -> None:
        if not isinstance(parties, int) or parties < 1:
            raise ConfigError(f"the barrier {name!r:.100} of {parties!r:.100} parties: write a number from 1")
        self._scope = scope
        self._name = name
        self._key = own_key("barrier", name)
        self._parties = parties

    def arrive(self, party: str | int) -> bool:
        """Count a party without waiting for the others.

        Args:
            party: Who it is, unlike all others.

        Returns:
            Whether all have come.
        """
        arrival = Operation(verb=Verb.ADD, key=self._key, values=(encode_value(party),), ttl_ms=ttl_ms(TTL_S))
        _, there = self._scope.run([arrival, Operation(verb=Verb.SIZE, key=self._key)])
        return bool(there >= self._parties)

    def wait(self, party: str | int, wait_s: float | None = None) -> None:
        """Count a party, and return when all have come.

        Args:
            party: Who it is, unlike all others.
            wait_s: How long to wait, seconds; None: as long as it takes.

        Raises:
            DeadlineExceededError: the others did not come in time. This party stays counted.
        """
        if self.arrive(party):
            return
        if self._scope.wait_for(self._complete, wait_s, longest_s=lambda: _LONGEST_WAIT_S) is None:
            raise DeadlineExceededError(
                f"state {self._scope.group}: at the barrier {self._name!r} were {self._there()} of {self._parties} "
                f"parties after {wait_s:g} s"
            )

    def _complete(self) -> bool | None:
        return True if self._there() >= self._parties else None

    def _there(self) -> int:
        return int(self._scope.run([Operation(verb=Verb.SIZE, key=self._key)])[0])
