"""Sequence numbers: what was lost on the way, came late, or began anew. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# A number that is behind by no more than this came late; further behind, the exporter has begun anew.
LATE = 1_000

# A number that is ahead by more than this is a new beginning as well: nobody loses so much between two datagrams.
AHEAD = 1 << 24

_MODULUS = 1 << 32


class Step(Enum):
    """How a sequence number follows the one before."""

    FIRST = "first"
    NEXT = "next"
    GAP = "gap"
    LATE = "late"
    RESTART = "restart"


@dataclass(slots=True)
class Sequence:
    """The sequence numbers of one stream of datagrams.

    Exporters count different things: NetFlow v5 flows, v9 datagrams (some of its exporters flows), IPFIX data records
    (some exporters without those of options). The number stands for what was sent before the datagram, or, against the
    standards, for what was sent with it (softflowd, Open vSwitch). So each datagram says what it may have counted, and
    the first that fits one way only shows which way that is.
    """

    _number: int = -1
    _units: tuple[int, ...] = ()
    _counts_itself: bool | None = None
    lost: int = 0

    def follow(self, number: int, *units: int) -> Step:
        """Take the number of a datagram.

        Args:
            number: The number in the header of the datagram.
            units: What the datagram may have counted; none where that is not known.

        Returns:
            How it follows; with ``Step.GAP``, ``lost`` is how much is missing, in the exporter's own unit.
        """
        step = self._compare(number, units)
        if step is not Step.LATE:
            self._number, self._units = number, units
        return step

    def forget(self) -> None:
        """Begin anew: the next number is the first."""
        self._number, self._units = -1, ()

    def _compare(self, number: int, units: tuple[int, ...]) -> Step:
        if self._number < 0 or not self._units or not units:
            return Step.FIRST
        ahead = (number - self._number) % _MODULUS
        before, itself = ahead in self._units, ahead in units
        if self._counts_itself is None and before is not itself:
            self._counts_itself = itself
        if itself if self._counts_itself else before:
            return Step.NEXT
        expected = units if self._counts_itself else self._units
        missing = min((ahead - unit) % _MODULUS for unit in expected)
        if missing < AHEAD:
            self.lost = missing
            return Step.GAP
        return Step.LATE if min((unit - ahead) % _MODULUS for unit in expected) <= LATE else Step.RESTART
