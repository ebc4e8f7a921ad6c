"""A network of the test's own: the thread moves into a fresh network namespace, and what it starts is in there too."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000


def missing_for_nftables() -> str:
    """Return why nftables cannot be tried on this machine; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("nft", "ip"):
        if shutil.which(program) is None:
            return f"needs the program {program}"
    try:
        ctypes.CDLL("libnftables.so.1")
    except OSError:
        return "needs libnftables1"
    return ""


@contextmanager
def own_network() -> Iterator[None]:
    """Run a block with this thread in a network namespace that goes with the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot make a network namespace")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        try:
            yield
        finally:
            if libc.setns(home, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "cannot return to the network namespace of before")
    finally:
        os.close(home)


def rule_set() -> str:
    """Return the whole rule set of the thread's network, as `nft` prints it, with handles and counters."""
    return subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
