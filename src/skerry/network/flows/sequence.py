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


# A way of counting: whether a number stands for what was sent with the datagram as well, and which unit is counted.
_Way = tuple[bool, int]


@dataclass(slots=True)
class Sequence:
    """The sequence numbers of one stream of datagrams.

    Exporters count different things: NetFlow v5 flows, v9 datagrams, IPFIX data records (some exporters without those
    of options). The number stands for what was sent before the datagram, or, against the standards, for what was sent
    with it (softflowd, Open vSwitch). So each datagram says what it may have counted, and ways of counting that have
    not fitted are given up.
    """

    _number: int = -1
    _units: tuple[int, ...] = ()
    _ways: frozenset[_Way] | None = None
    _others: frozenset[_Way] = frozenset()
    lost: int = 0

    def follow(self, number: int, *units: int) -> Step:
        """Take the number of a datagram.

        Args:
            number: The number in the header of the datagram.
            units: What the datagram may have counted, always in the same order; none where that is not known.

        Returns:
            How it follows; with ``Step.GAP``, ``lost`` is how much is missing, in the exporter's own unit.
        """
        step = self._compare(number, units)
        if step is not Step.LATE:
            self._number, self._units = number, units
        return step

    def forget(self) -> None:
        """Begin anew: the next number is the first."""
        self._number, self._units, self._ways, self._others = -1, (), None, frozenset()

    def _compare(self, number: int, units: tuple[int, ...]) -> Step:
        if self._number < 0:
            return Step.FIRST
        ahead = (number - self._number) % _MODULUS
        missing = {(False, i): (ahead - unit) % _MODULUS for i, unit in enumerate(self._units)}
        missing.update({(True, i): (ahead - unit) % _MODULUS for i, unit in enumerate(units)})
        believed = {way: lost for way, lost in missing.items() if self._ways is None or way in self._ways}
        fitting = frozenset(way for way, lost in missing.items() if lost == 0)
        # What was believed has fitted by chance, where another way fits twice in its place.
        agreed = fitting.intersection(believed) or fitting & self._others
        self._others = frozenset() if agreed else fitting
        if agreed:
            self._ways = agreed
            return Step.NEXT
        unknown = len(self._units) != len(units) if self._ways is None else len(believed) < len(self._ways)
        if unknown or not believed:  # a way of counting that would fit may be among those that cannot be tried
            return Step.FIRST
        least = min(believed.values())
        if least < AHEAD:
            self.lost = least
            return Step.GAP
        return Step.LATE if _MODULUS - max(believed.values()) <= LATE else Step.RESTART
