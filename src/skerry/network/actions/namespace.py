"""Which network namespace a rule is in: in another one it is neither seen nor can it be taken back."""

from __future__ import annotations

import os

from skerry.errors import PlatformError
from skerry.network.actions.journal import IN_FORCE, Entry
from skerry.network.actions.withdrawal import monotonic_s

OWN = "/proc/thread-self/ns/net"


def find_namespace() -> int:
    """Return the kernel's number of the network namespace that this thread is in."""
    return os.stat(OWN).st_ino


def require_namespace(entry: Entry) -> None:
    """Refuse to decide about an action from another network namespace than that of the process that acts.

    Args:
        entry: The action. One whose time has ended is gone by itself, wherever it was.

    Raises:
        PlatformError: it is of another one.
    """
    theirs, ours = entry.settings.get("namespace"), find_namespace()
    if theirs in (None, ours) or (entry.state in IN_FORCE and entry.due_s <= monotonic_s()):
        return
    raise PlatformError(
        f"action {entry.action.id} belongs to another network namespace (net:[{theirs}]) than this command "
        f"(net:[{ours}]), which can neither take it nor take it back",
        hint="run the command where the defence runs, such as with `ip netns exec` or `nsenter`",
    )
