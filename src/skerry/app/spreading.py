"""One map over several sites: each call goes to a site that has room, and away from sites that do not answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from skerry.errors import (
    EngineNotRunningError,
    SiteUnreachableError,
    SkerryError,
    TransportError,
    UnavailableError,
)
from skerry.platforms import Platform
from skerry.platforms.base import Cancellation

logger = logging.getLogger(__name__)
R = TypeVar("R")

Lost = Literal["elsewhere", "fail"]
MAX_LOSSES = 3  # of one call, after it had been sent: it is then taken for the cause of them
FIRST_PROBE_S = 0.5
MAX_PROBE_S = 10.0
ALL_LOST_S = 30.0  # how long no site may answer before the calls that wait for one fail
LOOK_S = 0.2  # between looks at whether the map was closed, while no site has room


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteEvent:
    """What a map over several sites has seen.

    Args:
        kind: ``done``: a call was answered. ``lost``: the site does not answer. ``moved``: a call that it had goes
            elsewhere. ``back``: it answers again.
        site: Name of the site.
        at_s: Unix time, seconds.
        item: Place of the call's item among the items, from 0; none where it is about the site alone.
        took_s: Time from the call's beginning at this site to its answer or its loss, seconds.
        reason: Why, in words.
    """

    kind: Literal["done", "lost", "moved", "back"]
    site: str
    at_s: float
    item: int | None = None
    took_s: float | None = None
    reason: str = ""


Watch = Callable[[SiteEvent], None]


@dataclass(slots=True)
class _Seat(Generic[R]):
    """A site as the map sees it; guarded by the map's lock."""

    name: str
    platform: Platform
    send: Callable[[Any, Cancellation], R]
    running: int = 0
    taken: int = 0
    lost_because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What becomes of the work of a site that does not answer.

    Args:
        in_flight: Most calls at a time at each site.
        lost: ``elsewhere`` or ``fail``.
        idempotent: Whether a call may run twice: one whose answer was lost goes elsewhere only then.
        watch: Told of what happens, from several threads.
        all_lost_s: How long no site may answer before the calls that wait for one fail, seconds.
    """

    in_flight: int
    lost: Lost = "elsewhere"
    idempotent: bool = False
    watch: Watch | None = None
    all_lost_s: float = ALL_LOST_S


class Spread(Generic[R]):
    """Sends calls to whichever site has room; used by many threads.

    Args:
        sites: Name, platform, and what sends an item there.
        rules: What becomes of lost work.
    """

    def __init__(self, sites: Sequence[tuple[str, Platform, Callable[[Any, Cancellation], R]]], rules: Rules) -> None:
        self._seats = [_Seat(name, platform, send) for name, platform, send in sites]
        self._rules = rules
        self._changed = threading.Condition()
        self._all_lost_at: float | None = None

    def call(self, numbered: tuple[int, Any], cancellation: Cancellation) -> R:
        """Run one call at some site.

        Args:
            numbered: The item's place and the item.
            cancellation: Ends it.

        Raises:
            SkerryError: the error that it ended with; one of a site says its name.
        """
        number, item = numbered
        losses = 0
        while True:
            seat = self._take(cancellation)
            began_s = time.monotonic()
            try:
                value = seat.send(item, cancellation)
            except SkerryError as error:
                took_s = time.monotonic() - began_s
                self._give_back(seat)
                if cancellation.cancelled or not is_loss(error):
                    raise
                self._lose(seat, error, cancellation)
                losses += _was_sent(error)
                if self._stays(error, losses):
                    raise
                self._tell("moved", seat, item=number, took_s=took_s, reason=error.message)
            except BaseException:
                self._give_back(seat)
                raise
            else:
                self._give_back(seat)
                self._tell("done", seat, item=number, took_s=time.monotonic() - began_s)
                return value

    def _stays(self, error: SkerryError, losses: int) -> bool:
        """Whether a call that was lost with its site is not sent elsewhere."""
        if self._rules.lost == "fail" or losses >= MAX_LOSSES:
            return True
        return _was_sent(error) and not self._rules.idempotent

    def _take(self, cancellation: Cancellation) -> _Seat[R]:
        """Wait for a site with room, and take a place there: at the one with the fewest calls now, then ever."""
        with self._changed:
            while True:
                if cancellation.cancelled:
                    raise TransportError("the call was cancelled", sent=False)
                free = [s for s in self._seats if s.lost_because is None and s.running < self._rules.in_flight]
                if free:
                    seat = min(free, key=lambda s: (s.running, s.taken))
                    seat.running += 1
                    seat.taken += 1
                    return seat
                since = self._all_lost_at
                if since is not None and time.monotonic() - since >= self._rules.all_lost_s:
                    raise self._nobody()
                self._changed.wait(LOOK_S)

    def _give_back(self, seat: _Seat[R]) -> None:
        with self._changed:
            seat.running -= 1
            self._changed.notify_all()

    def _lose(self, seat: _Seat[R], error: SkerryError, cancellation: Cancellation) -> None:
        """Send nothing more to a site, until it answers."""
        named = seat.name in error.message
        reason = error.message if named else f"site {seat.name!r} was lost: {error.message}"
        with self._changed:
            if seat.lost_because is not None:
                return
            seat.lost_because = reason
            if all(other.lost_because is not None for other in self._seats):
                self._all_lost_at = time.monotonic()
            self._changed.notify_all()
        logger.warning("%s", reason)
        self._tell("lost", seat, reason=reason)
        threading.Thread(
            target=self._look_after, args=(seat, cancellation), name=f"skerry-look-after-{seat.name}", daemon=True
        ).start()

    def _look_after(self, seat: _Seat[R], cancellation: Cancellation) -> None:
        """Ask a lost site whether it answers, less and less often, until it does or the map is closed."""
        delay_s = FIRST_PROBE_S
        ready: Callable[[], bool] = getattr(seat.platform, "ready", lambda: True)
        while True:
            try:
                cancellation.wait(delay_s)
            except TransportError:
                return
            if ready():
                break
            delay_s = min(2 * delay_s, MAX_PROBE_S)
        with self._changed:
            seat.lost_because = self._all_lost_at = None
            self._changed.notify_all()
        logger.warning("site %r answers again", seat.name)
        self._tell("back", seat)

    def _nobody(self) -> SiteUnreachableError:
        reasons = "; ".join(str(seat.lost_because) for seat in self._seats)
        return SiteUnreachableError(
            f"no site has answered for {self._rules.all_lost_s:g} s: {reasons}",
            sites=[seat.name for seat in self._seats],
            sent=False,
        )

    def _tell(self, kind: Any, seat: _Seat[R], **facts: Any) -> None:
        if self._rules.watch is None:
            return
        try:
            self._rules.watch(SiteEvent(kind=kind, site=seat.name, at_s=time.time(), **facts))
        except Exception:  # of the caller's own function, in a thread of ours: the call has an answer all the same
            logger.exception("watch failed")


def is_loss(error: SkerryError) -> bool:
    """Return whether an error says that the site is gone, rather than what the function did."""
    return isinstance(error, SiteUnreachableError | EngineNotRunningError | TransportError | UnavailableError)


def _was_sent(error: SkerryError) -> bool:
    """Return whether the call may have run."""
    return isinstance(error, TransportError) and bool(error.details.get("sent", True))


def site_names(platforms: Sequence[Platform]) -> list[str]:
    """Return a name for each platform: its site's, else its address, else its kind; all different."""
    names: list[str] = []
    for platform in platforms:
        site = getattr(platform, "site", None)
        name = str(site.name if site is not None else getattr(platform, "address", type(platform).__name__))
        names.append(name if name not in names else f"{name}#{len(names) + 1}")
    return names
