"""What carries an action out: one small class for every kind of firewall or router."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from skerry.network.actions.action import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """What an action has dropped so far.

    Attributes:
        packets: Packets.
        bytes: Their bytes.
        counted: Whether that is known: routers that are told by BGP do not say.
    """

    packets: int
    bytes: int
    counted: bool = True


class Actuator(ABC):
    """Carries actions out and takes them back.

    An action is found again by its id alone, so that any process can take back what another one did. All methods may be
    called by several processes at a time.
    """

    name: ClassVar[str]

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds in this process; what is in force stays."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Return what another process needs, as plain values, to withdraw what this one has applied."""

    @abstractmethod
    def check(self, action: Action) -> None:
        """Find out whether an action would be taken, without any effect.

        Raises:
            PlatformError: it would not, and why.
        """

    @abstractmethod
    def apply(self, action: Action, *, timeout_s: float) -> None:
        """Carry an action out, all of it or nothing.

        Args:
            action: What is to be done.
            timeout_s: Seconds after which it has no more effect, also when no process is left to withdraw it, where
                what carries it out can tell the time.

        Raises:
            PlatformError: it was not taken; nothing has changed.
        """

    @abstractmethod
    def renew(self, action: Action, *, timeout_s: float) -> None:
        """Give an action that is in force another time-out, counted from now.

        Raises:
            PlatformError: it is not in force any more.
        """

    @abstractmethod
    def withdraw(self, action_id: str) -> bool:
        """Take an action back, exactly; everything else stays.

        Returns:
            Whether there was anything to take back.

        Raises:
            PlatformError: it cannot be taken back now.
        """

    @abstractmethod
    def applied(self) -> Mapping[str, Hits]:
        """Return the actions that are in force, by their ids, with what they have dropped."""
