"""Network namespaces: a machine's network, as many times as there are names. Needs root and iproute2."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from skerry.errors import PlatformError

FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000
TOOL_TIMEOUT_S = 30.0
MTU_BYTES = 1500
# What the kernel holds for a link process that is busy, before it drops packets.
QUEUE_PACKETS = 5000


def run_tool(words: Sequence[str], *, stdin: str | None = None, variables: Mapping[str, str] | None = None) -> str:
    """Run a tool of the system and return its standard output.

    Args:
        words: Its command line.
        stdin: What it reads.
        variables: Environment variables on top of this process' own.

    Raises:
        PlatformError: it is not there, failed, or did not end in time; the message holds what it said.
    """
    if shutil.which(words[0]) is None:
        raise PlatformError(f"there is no program {words[0]!r} on this machine; install iproute2")
    try:
        done = subprocess.run(
            list(words),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT_S,
            check=False,
            env={**os.environ, **(variables or {})},
        )
    except subprocess.TimeoutExpired as error:
        raise PlatformError(f"`{' '.join(words)}` has not ended within {TOOL_TIMEOUT_S:g} s") from error
    if done.returncode:
        raise PlatformError(f"`{' '.join(words)}` failed: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def list_namespaces(prefix: str = "") -> list[str]:
    """Return the names of the machine's network namespaces that begin with a prefix."""
    try:
        return sorted(path.name for path in FOLDER.iterdir() if path.name.startswith(prefix))
    except FileNotFoundError:
        return []


def add_namespace(name: str) -> None:
    """Make a network namespace with its loopback interface up, and without IPv6, whose own packets would be counted.

    Raises:
        PlatformError: it exists, or this process may not.
    """
    run_tool(["ip", "netns", "add", name])
    for scope in ("all", "default"):
        with suppress(PlatformError):  # a kernel without IPv6
            set_kernel_value(name, f"net.ipv6.conf.{scope}.disable_ipv6", "1")
    run_tool(["ip", "-n", name, "link", "set", "lo", "up"])


def configure_interface(name: str | None, interface: str, *, address: str, peer: str) -> None:
    """Give an interface of a namespace its address and bring it up; its peer is reached through it.

    Raises:
        PlatformError: there is no such interface, or this process may not.
    """
    where = ["-n", name] if name is not None else []
    for words in (
        ["addr", "add", address, "peer", peer, "dev", interface],
        ["link", "set", interface, "mtu", str(MTU_BYTES), "txqueuelen", str(QUEUE_PACKETS), "up"],
    ):
        run_tool(["ip", *where, *words])


def delete_namespace(name: str) -> None:
    """Remove a namespace's name; it goes with its interfaces as soon as no process is left in it."""
    if (FOLDER / name).exists():
        run_tool(["ip", "netns", "delete", name])


@contextmanager
def inside(name: str | None) -> Iterator[None]:
    """Run a block with this thread inside a namespace; sockets that it opens stay there.

    Args:
        name: A name; None is where the process is.

    Raises:
        PlatformError: there is no such namespace, or this process may not enter it.
    """
    if name is None:
        yield
        return
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(name)
        try:
            yield
        finally:
            _set_namespace(home)
    finally:
        os.close(home)


def enter(name: str) -> None:
    """Move this thread into a namespace, for good.

    Raises:
        PlatformError: there is no such namespace, or this process may not enter it.
    """
    try:
        there = os.open(FOLDER / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise PlatformError(f"there is no network namespace {name!r}: {error.strerror}") from error
    try:
        _set_namespace(there)
    except OSError as error:
        raise PlatformError(f"cannot enter the network namespace {name!r}: {error.strerror}") from error
    finally:
        os.close(there)


def set_kernel_value(name: str | None, key: str, value: str) -> None:
    """Write a kernel setting of a namespace, such as ``net.ipv4.ip_forward``.

    Raises:
        PlatformError: there is no such setting, or it does not take the value.
    """
    path = Path("/proc/sys") / key.replace(".", "/")
    with inside(name):
        try:
            path.write_text(value)
        except OSError as error:
            raise PlatformError(f"cannot set {key} to {value!r}: {error.strerror}") from error


def kernel_value(name: str | None, key: str) -> str:
    """Return a kernel setting of a namespace; empty where there is none."""
    path = Path("/proc/sys") / key.replace(".", "/")
    with inside(name):
        try:
            return path.read_text().strip()
        except OSError:
            return ""


def _set_namespace(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
