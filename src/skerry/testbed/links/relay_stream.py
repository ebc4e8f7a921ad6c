"""One connection through a relay: bytes of each direction that wait for their moment."""

from __future__ import annotations

import socket
import time
from collections import deque
from contextlib import suppress

from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.lateness import Lateness
from skerry.testbed.links.scheduler import Scheduler
from skerry.testbed.links.stamps import STAMP_BYTES, ask_for_stamps, stamp_ns

LARGEST_PIECE_BYTES = 16 * 1024
SMALLEST_PIECE_BYTES = 1448
# A piece takes at most so long at the link's rate, so that bytes trickle instead of coming in lumps.
PIECE_S = 0.002
# How much before its moment a piece may leave: half a turn of the loop.
AHEAD_S = 10e-6
# A stamp is of the wall clock, which may be set meanwhile; one that old is not believed.
OLDEST_S = 1.0


class RelayLane:
    """One direction of a relay, which all connections share.

    Args:
        conditions: What it does; loss other than 1, duplication and reordering are left out.
        seed: What its random numbers begin from.
    """

    def __init__(self, conditions: Conditions, *, seed: str) -> None:
        self.conditions = conditions
        self.scheduler = Scheduler(_of_stream(conditions), seed=seed)
        self.lateness = Lateness()
        self._came_s = 0.0  # the latest arrival; connections are not read in the order of what came on them

    @property
    def is_cut(self) -> bool:
        """Whether bytes are held back until the link is mended."""
        return self.conditions.loss == 1

    @property
    def piece_bytes(self) -> int:
        """How many bytes are taken in at a time."""
        rate = self.conditions.rate_mbps
        if rate is None:
            return LARGEST_PIECE_BYTES
        return int(min(LARGEST_PIECE_BYTES, max(SMALLEST_PIECE_BYTES, rate * 1e6 / 8 * PIECE_S)))

    def admit(self, size_bytes: int, came_s: float) -> tuple[float, ...]:
        """Take in a piece of any of the connections, and return when it leaves.

        Args:
            size_bytes: Its length.
            came_s: When it came, by the monotonic clock, seconds.
        """
        self._came_s = max(self._came_s, came_s)
        return self.scheduler.admit(size_bytes, self._came_s)

    def change(self, conditions: Conditions) -> None:
        """Go on under other conditions; bytes that are on their way keep their moments."""
        self.conditions = conditions
        self._came_s = time.monotonic()  # what came before and was not taken in, as during a cut, sets out now
        self.scheduler.change(_of_stream(conditions), self._came_s)

    def report(self) -> dict[str, object]:
        """Return the counts; a packet is a piece of a stream here."""
        return {**self.scheduler.tally.to_dict(), "missed": 0, "lateness": self.lateness.to_dict()}


class RelayStream:
    """One direction of one connection.

    Args:
        source: Socket that bytes come from; non-blocking.
        target: Socket that they go to; non-blocking.
        lane: The link's direction.
        opens_s: Moment at which a connection over such a link would have been established.
    """

    def __init__(self, source: socket.socket, target: socket.socket, lane: RelayLane, opens_s: float) -> None:
        self.source = source
        self.target = target
        self.lane = lane
        self.ended = False
        self.blocked = False
        self._opens_s = opens_s
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._finished_reading = False
        self._blocked_until_s = 0.0  # bytes that came while the target took none have been at their sender till then
        ask_for_stamps(source)

    @property
    def wants_to_read(self) -> bool:
        """Whether there is room for more: what is full holds up the sender, as TCP's own window would."""
        limit = max(self.lane.conditions.queue_limit_bytes, self._in_flight_bytes())
        return not self._finished_reading and not self.lane.is_cut and self._held_bytes < limit

    @property
    def due_s(self) -> float | None:
        """When the next bytes are to leave; None when none may."""
        return self._waiting[0][0] - AHEAD_S if self._waiting and not self.blocked and not self.lane.is_cut else None

    def read(self) -> None:
        """Take in a piece; its delay counts from the kernel's stamp of its arrival.

        Raises:
            OSError: the connection broke.
        """
        with suppress(BlockingIOError):
            piece, notes, _, _ = self.source.recvmsg(self.lane.piece_bytes, STAMP_BYTES)
            self._finished_reading = not piece
            # In this order: a stop of the machine between the two makes a piece later, and none too early.
            wall_ns, now_s = time.time_ns(), time.monotonic()
            waited_s = (wall_ns - (stamp_ns(notes) or wall_ns)) / 1e9
            came_s = now_s - waited_s if 0 <= waited_s < OLDEST_S else now_s
            moments = self.lane.admit(len(piece), max(came_s, self._blocked_until_s))
            leaves_s = max(moments[0], self._opens_s + self.lane.conditions.delay_ms / 1000)
            self._waiting.append((leaves_s, piece))
            self._held_bytes += len(piece)

    def write(self) -> None:
        """Let go what is due; an end of the stream is passed on like bytes are.

        Raises:
            OSError: the connection broke.
        """
        now_s = time.monotonic()
        if self.blocked:
            self.blocked, self._blocked_until_s = False, now_s
        while self._waiting and self._waiting[0][0] <= now_s + AHEAD_S and not self.lane.is_cut:
            due_s, piece = self._waiting[0]
            if not piece:
                with suppress(OSError):  # it has gone already
                    self.target.shutdown(socket.SHUT_WR)
                self.ended = True
                self._waiting.clear()
                return
            try:
                sent_bytes = self.target.send(piece)
            except BlockingIOError:
                self.blocked = True
                return
            self._held_bytes -= sent_bytes
            if sent_bytes < len(piece):
                self._waiting[0] = (due_s, piece[sent_bytes:])
                self.blocked = True
                return
            self._waiting.popleft()
            self.lane.lateness.add(now_s - due_s)

    def _in_flight_bytes(self) -> int:
        """Return what is on the way at the link's rate during its delay; without a rate, plenty."""
        conditions = self.lane.conditions
        if conditions.rate_mbps is None:
            return 16 << 20
        return int(conditions.rate_mbps * 1e3 / 8 * (conditions.delay_ms + 4 * conditions.jitter_ms))


def _of_stream(conditions: Conditions) -> Conditions:
    """Return what of the conditions a stream can have: its bytes can neither be lost nor change places."""
    # Whoever reads stops when enough is held; a queue that dropped would damage the stream.
    return conditions.changed(
        loss_ratio=0.0, duplicate_ratio=0.0, reorder_ratio=0.0, jitter_reorders=False, queue_bytes=1 << 60
    )
