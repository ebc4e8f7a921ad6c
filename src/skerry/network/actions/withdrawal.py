"""Take back what is due: the same steps in the acting process and in the keeper."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from skerry.errors import ConfigError, SkerryError
from skerry.network.actions.actuator import Actuator
from skerry.network.actions.journal import IN_FORCE, Entry, Journal, State
from skerry.network.actions.policy import Policy

logger = logging.getLogger(__name__)

RETRY_S = 0.5


def make_actuator(name: str, settings: Mapping[str, Any], *, policy: Policy | None = None) -> Actuator:
    """Return an actuator like the one that another process has used.

    Args:
        name: The actuator's name.
        settings: What it said of itself.
        policy: What no action may ever do; None for an actuator that only withdraws.

    Raises:
        ConfigError: there is none of this name.
        PlatformError: it cannot work on this machine.
    """
    if name == "nftables":
        from skerry.network.actions.nftables.actuator import NftablesActuator

        return NftablesActuator(policy=policy, table=settings["table"], lock_file=Path(settings["lock_file"]))
    if name == "gobgp":
        from skerry.network.actions.gobgp.actuator import GobgpActuator

        place = {"host": settings["host"], "port": settings["port"], "next_hops": tuple(settings["next_hops"])}
        return GobgpActuator(folder=Path(settings["folder"]), **place)
    if name == "xdp":
        from skerry.network.actions.xdp.actuator import XdpActuator

        destinations = [ip_network(text) for text in settings["destinations"]]
        where = {"folder": Path(settings["folder"]), "interfaces": settings["interfaces"]}
        return XdpActuator(destinations=destinations, policy=policy, **where)
    raise ConfigError(f"there is no actuator {name!r}: the journal was written by a later version")


def withdraw_due(
    journal: Journal, make: Callable[[Entry], Actuator], *, now_s: float, say: Callable[[str], None] = logger.warning
) -> float | None:
    """Withdraw the actions whose time has passed.

    Args:
        journal: Where they are.
        make: Gives the actuator of an entry.
        now_s: The machine's monotonic clock, seconds.
        say: Is told what cannot be withdrawn now, and why.

    Returns:
        Seconds until the next one is due; None when nothing is in force.
    """
    waits = []
    for entry in journal.in_force():
        if entry.due_s > now_s:
            waits.append(entry.due_s - now_s)
            continue
        try:
            with taken_back(journal, make(entry), entry.action.id, wait_s=0.0):
                _close(journal, entry)
        except Exception as error:  # whatever it is: others are due as well, and not all have a time-out in the kernel
            reason = describe(error)
            say(f"action {entry.action.id} cannot be withdrawn now, and is tried again: {reason}")
            waits.append(RETRY_S)
    return min(waits, default=None)


def describe(error: Exception) -> str:
    """Return what has failed, in a sentence for a log."""
    return error.message if isinstance(error, SkerryError) else f"{type(error).__name__}: {error}"


@contextmanager
def taken_back(journal: Journal, actuator: Actuator, action_id: str, *, wait_s: float | None = None) -> Iterator[bool]:
    """Take an action back, and run the block that writes it down when the action cannot be applied any more.

    An action is applied once, so what was there is gone for good. Where nothing was there it may just be about to come.

    Args:
        journal: Where the action is.
        actuator: What takes it back.
        action_id: Which.
        wait_s: Seconds to wait for actions that are being applied; None for as long as for the journal.

    Yields:
        Whether there was anything to take back.

    Raises:
        PlatformError: it cannot be taken back now.
        StorageError: another process is applying actions; what was there is taken back.
    """
    removed = actuator.withdraw(action_id)
    with ExitStack() as held:
        if not removed:
            held.enter_context(journal.applying(wait_s=wait_s))
            removed = actuator.withdraw(action_id)
        yield removed


def _close(journal: Journal, entry: Entry) -> None:
    reasons = {State.PENDING: "nobody confirmed it in time", State.CONFIRMED: "its time to live has ended"}
    reason = reasons[entry.state] if entry.due_s else "the machine was started again"
    journal.change(entry.action.id, State.WITHDRAWN, reason, since=IN_FORCE)


def monotonic_s() -> float:
    """Return the clock that all processes of the machine share until it is started again, seconds."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
