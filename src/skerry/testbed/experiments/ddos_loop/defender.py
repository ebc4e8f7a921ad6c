"""Skerry's loop as a process in the router; it prints what it does as lines of JSON."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path

from skerry.network.defence import DefenceSettings, defend
from skerry.network.loop import Happening, Step
from skerry.testbed.experiments.ddos_loop.saying import say
from skerry.testbed.experiments.ddos_loop.star import SCOPE


def tell(happening: Happening) -> None:
    """Print what the loop did, and when: an action is taken now, and a window was judged before that."""
    judged = happening.step is Step.DETECTED
    say(step=happening.step.value, at_s=happening.at_s if judged else time.monotonic(), reason=happening.reason)


def main() -> None:
    """Defend until interrupted."""
    wanted = json.loads(sys.argv[1])
    ended = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: ended.set())
    settings = DefenceSettings(
        scope=(SCOPE,),
        folder=Path(wanted["folder"]),
        port=wanted["port"],
        window_ms=wanted["window_ms"],
        clock=wanted["clock"],
        dry_run=False,
        paths=(),
    )
    defend(settings, ended.is_set, tell=tell, ready=lambda port: say(ready=True, port=port))


if __name__ == "__main__":
    main()
