"""Between trials: nothing of the last one is left in the star's networks, neither processes, connections nor rules."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

from skerry.errors import PlatformError
from skerry.network.actions.nftables.library import Nftables
from skerry.testbed.links.namespace import inside, run_tool

END_TIMEOUT_S = 10.0
LOOK_EVERY_S = 0.02


def check_clear(network: str) -> None:
    """Look whether a network has no rules, which would defend or hinder whoever comes next.

    Raises:
        PlatformError: it has some, which are named.
    """
    with inside(network):
        tables = _list_tables()
    if tables:
        raise PlatformError(
            f"the router already has the tables {', '.join(tables)} of nftables before the trial begins, so it would "
            "not be this trial's defence that is measured; end what has made them, and run the experiment again"
        )


def clear(networks: Iterable[str]) -> None:
    """End who is left in networks, such as the keeper of a loop that has ended, then connections, and then all rules.

    Processes go before rules: the script of a ban that is still running would bring its rule back. Connections go as
    well: the kernel would send for minutes what the rules have dropped, also in the following trials.

    Raises:
        PlatformError: a process does not end, or rules cannot be deleted.
    """
    names = sorted(set(networks))
    for network in names:
        _end_processes(network)
    for network in names:
        run_tool(["ip", "netns", "exec", network, "ss", "--kill", "--all", "--tcp", "--numeric"])
    for network in names:
        with inside(network):
            rules = Nftables()
            try:
                rules.run([{"flush": {"ruleset": None}}])
            finally:
                rules.close()


def _list_tables() -> list[str]:
    rules = Nftables()
    try:
        return [entry["table"]["name"] for entry in rules.run([{"list": {"tables": None}}]) if "table" in entry]
    finally:
        rules.close()


def _end_processes(network: str) -> None:
    ends_s = time.monotonic() + END_TIMEOUT_S
    while left := run_tool(["ip", "netns", "pids", network]).split():
        if time.monotonic() > ends_s:
            raise PlatformError(f"the processes {', '.join(left)} in the network {network} do not end")
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(LOOK_EVERY_S)
