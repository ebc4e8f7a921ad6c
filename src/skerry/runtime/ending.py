"""How a process has ended, in words."""

from __future__ import annotations

import signal

from skerry.runtime.reaper import UNKNOWN_CODE


def describe_end(code: int | None) -> str:
    """Return how a worker has ended that nobody here has ended.

    Args:
        code: Its exit code as of a `Reaper`; none for one that had not ended when its connection did.
    """
    if code is None:
        return "it closed its connection"
    if code == UNKNOWN_CODE:
        return "nobody knows how"
    if code >= 0:
        return f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # one of the real-time signals
        name = f"signal {-code}"
    # What takes more than the option `memory` is told so, and what is ended here has a reason: this came from outside.
    return (
        f"killed by {name}, perhaps because the machine ran out of memory" if name == "SIGKILL" else f"killed by {name}"
    )
