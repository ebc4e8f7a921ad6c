"""A network and a file system of BPF of the test's own, in which xdp-filter can be loaded beside the machine's."""

import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skerry.testbed.links.namespace import add_namespace, delete_namespace, set_kernel_value
from support.own_network import own_network

CLONE_NEWNS = 0x20000
BPF_FOLDER = "/sys/fs/bpf"
INTERFACE = "to-peer"
LOCAL, PEER, STRANGER = "10.9.3.1", "10.9.3.9", "10.9.3.8"
# With ports, each status asks the kernel for 65,536 counters.
ADDRESSES_ONLY = ("-f", "ipv4,ipv6")
numbers = itertools.count()


def missing_for_xdp() -> str:
    """Return why XDP cannot be tried on this machine; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program, package in (("xdp-filter", "xdp-tools"), ("ip", "iproute2"), ("mount", "mount")):
        if shutil.which(program) is None:
            return f"needs the program {program} (Debian: {package})"
    try:
        with peer_with_xdp_filter(*ADDRESSES_ONLY):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"xdp-filter cannot be loaded on this machine: {error}"


@contextmanager
def peer_with_xdp_filter(*words) -> Iterator[str]:
    """Run a block in a network whose one interface has xdp-filter; yield the namespace at its other end.

    Args:
        words: For ``xdp-filter load``.
    """
    name = f"sk-xdp-{os.getpid()}-{next(numbers)}"
    with _own_bpf_folder(), own_network():
        add_namespace(name)
        for scope in ("all", "default"):  # its packets would be counted
            set_kernel_value(None, f"net.ipv6.conf.{scope}.disable_ipv6", "1")
        try:
            for command in (
                f"link add {INTERFACE} numrxqueues 1 type veth peer name to-me netns {name} numtxqueues 1",  # in order
                f"addr add {LOCAL}/24 dev {INTERFACE}",
                f"link set {INTERFACE} up",
                f"-n {name} addr add {PEER}/24 dev to-me",
                f"-n {name} addr add {STRANGER}/24 dev to-me",
                f"-n {name} link set to-me up",
            ):
                subprocess.run(["ip", *command.split()], check=True)
            subprocess.run(["xdp-filter", "load", INTERFACE, *words], check=True)
            yield name
        finally:
            delete_namespace(name)


def filter_status() -> str:
    """Return what ``xdp-filter status`` prints."""
    return subprocess.run(["xdp-filter", "status"], capture_output=True, text=True, check=True).stdout


def without_totals(status: str) -> str:
    """Return a status without the packets that passed or were dropped in all."""
    return "\n".join(line for line in status.splitlines() if not line.strip().startswith("XDP_"))


@contextmanager
def _own_bpf_folder() -> Iterator[None]:
    """Run a block with this thread in a mount namespace that goes with the block, where nothing is pinned yet."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = Path.cwd()
    home = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "cannot make a mount namespace")
        try:
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            subprocess.run(["mount", "-t", "bpf", "bpf", BPF_FOLDER], check=True)
            # The lock of xdp-filter is there: tests in other processes would have to wait for each other.
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
            yield
        finally:
            if libc.setns(home, CLONE_NEWNS):
                raise OSError(ctypes.get_errno(), "cannot return to the mount namespace of before")
            os.chdir(folder)  # to enter a namespace leads to its root
    finally:
        os.close(home)
