"""A link's defence as one running thing: sensor, features, detector, decision, action, verification, withdrawal."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from skerry.network.acting import only_one, require_net_admin
from skerry.network.actions import (
    Actor,
    Actuator,
    Network,
    NftablesActuator,
    Policy,
    find_management_paths,
    inherit_session,
)
from skerry.network.actions.policy import Path as ManagementPath
from skerry.network.detection import BaselineDetector, Detector, Panel, SlowDetector, StrayDetector
from skerry.network.flows import FlowCollector
from skerry.network.loop import Decide, Happening, Loop, LoopRules
from skerry.network.sensing import Clock, FlowSensor, FlowWindows
from skerry.network.telling import Teller
from skerry.network.verification import Verification
from skerry.store.private import make_closed

# How long the collector gathers datagrams; it adds to the time in which an attack is seen.
GATHER_MS = 20
LATE_MS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenceSettings:
    """What is defended, and how.

    Attributes:
        scope: Networks that are defended; nothing else is looked at or acted on.
        folder: Where the journal of actions is.
        host: Address on which exporters are listened to.
        port: Port for that; 0 for one that the system chooses.
        exporters: Networks of the exporters; all by default.
        window_ms: How long a window is: 1000 where exporters tell once a second what they have seen, 100 or 200 where
            they tell each packet.
        clock: By which clock records belong to a window; see :class:`FlowWindows`.
        dry_run: Whether actions are only tried; the default.
        approval: Whether a person has to approve each action.
        allowed: Networks whose packets no action touches.
        paths: What the machine is managed through; None to find it in the environment, also that of
            the processes above, and the machine's files.
        confirm_s: Seconds after which an action is withdrawn that was not verified.
        rules: How the loop goes about it.
    """

    scope: tuple[Network, ...]
    folder: Path
    host: str = "127.0.0.1"
    port: int = 2055
    exporters: tuple[str, ...] = ()
    window_ms: int = 200
    clock: Clock = "received_ms"
    dry_run: bool = True
    approval: bool = False
    allowed: tuple[Network, ...] = ()
    paths: tuple[ManagementPath, ...] | None = None
    confirm_s: float = 10.0
    rules: LoopRules = field(default_factory=LoopRules)

    def policy(self) -> Policy:
        """Return what no action may ever do."""
        paths = find_management_paths(inherit_session(os.environ)) if self.paths is None else self.paths
        return Policy(scope=self.scope, allowed=self.allowed, paths=paths)


def make_detector() -> Detector:
    """Return what defends a link where nothing else is asked for: against floods, strays, low-and-slow attacks."""
    return Panel([BaselineDetector(), StrayDetector(), SlowDetector()])


def defend(
    settings: DefenceSettings,
    stopped: Callable[[], bool],
    *,
    detector: Detector | None = None,
    decide_rule: Decide | None = None,
    actuator: Actuator | None = None,
    verification: Verification | None = None,
    tell: Callable[[Happening], None] | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Listen to exporters, and defend what is in the scope, until told to stop.

    What is in force then is withdrawn by the keeper when its time to live ends.

    Args:
        settings: What is defended, and how.
        stopped: Whether to stop.
        detector: Says whether a window is an attack; None for that of :func:`make_detector`.
        decide_rule: Decides what is done; None for the narrowest rule, which XDP cannot say: see
            :func:`skerry.network.detection.decide_by_one_field`.
        actuator: Carries actions out; None for nftables on this machine.
        verification: Says whether an action does what it was taken for; None to look at what it drops. An actuator that
            does not know, such as GoBGP's, needs one, or each action is withdrawn as not verified.
        tell: Is told everything that the loop did, in its order and in a thread of its own: it may be slow. Where it is
            so slow that very much waits, the rest is only counted. What waits at the end is told before this returns,
            for 10 seconds at most.
        ready: Is told the port once exporters are listened to.

    Raises:
        ConfigError: the address cannot be listened on, or another process acts in the folder.
        PlatformError: nftables is not on this machine, this process may not act with it, or the socket that is listened
            on is gone.
        StorageError: the journal cannot be opened, or what it says is due cannot be read.

    Example:
        ```python
        settings = DefenceSettings(scope=(ip_network("192.0.2.0/24"),), folder=Path("defence"))
        defend(settings, ended.is_set, tell=print)
        ```
    """
    if actuator is None and not settings.dry_run:
        require_net_admin()
    policy = settings.policy()
    make_closed(settings.folder)  # it holds who was seen, and what was done
    with ExitStack() as opened:
        if not settings.dry_run:
            opened.enter_context(only_one(settings.folder))
        told = opened.enter_context(Teller(tell)) if tell is not None else None
        if actuator is None:
            ours = NftablesActuator(policy=policy, lock_file=settings.folder / "nftables.lock")
            opened.callback(ours.close)
            actuator = ours
        actor = Actor(
            actuator,
            policy,
            settings.folder,
            dry_run=settings.dry_run,
            confirm_s=settings.confirm_s,
            approval=settings.approval,
        )
        opened.callback(actor.close)
        loop = Loop(
            actor,
            detector if detector is not None else make_detector(),
            decide_rule=decide_rule,
            verification=verification,
            rules=settings.rules,
            tell=told,
        )
        collector = opened.enter_context(
            FlowCollector(settings.host, settings.port, interval_ms=GATHER_MS, exporters=settings.exporters)
        )
        windows = FlowWindows(
            width_ms=settings.window_ms,
            clock=settings.clock,
            scope=settings.scope,
            late_ms=LATE_MS + (GATHER_MS if settings.clock == "received_ms" else 0),
            known=loop.known,
        )
        if ready is not None:
            ready(collector.port)
        loop.run(FlowSensor(collector, windows), stopped)
