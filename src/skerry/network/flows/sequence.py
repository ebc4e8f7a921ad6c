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

    Exporters count different things: NetFlow v5 flows, v9 datagrams (some of its exporters flows), IPFIX data records.
    So each datagram says how far the number may go on; whichever fits is right.
    """

    _expected: tuple[int, ...] = ()
    lost: int = 0

    def follow(self, number: int, *units: int) -> Step:
        """Take the number of a datagram.

        Args:
            number: The number in the header of the datagram.
            units: What the number of the next datagram may be ahead of this one; none where that is not known.

        Returns:
            How it follows; with ``Step.GAP``, ``lost`` is how much is missing, in the exporter's own unit.
        """
        step = self._compare(number)
        if step is not Step.LATE:
            self._expected = tuple((number + unit) % _MODULUS for unit in units)
        return step

    def forget(self) -> None:
        """Begin anew: the next number is the first."""
        self._expected = ()

    def _compare(self, number: int) -> Step:
        if not self._expected:
            return Step.FIRST
        if number in self._expected:
            return Step.NEXT
        ahead = min((number - expected) % _MODULUS for expected in self._expected)
        if ahead < AHEAD:
            self.lost = ahead
            return Step.GAP
        behind = min((expected - number) % _MODULUS for expected in self._expected)
        return Step.LATE if behind <= LATE else Step.RESTART
