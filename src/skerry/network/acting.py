"""What a process needs before it acts on the network: the right to, and its folder for itself."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skerry.errors import ConfigError, PlatformError, StorageError

LOCK_FILE = "defending.lock"
STATUS = Path("/proc/self/status")
_CAP_NET_ADMIN = 12


def require_net_admin(status: Path = STATUS) -> None:
    """Find out whether this process may change the firewall, without asking libnftables, which prints what it is told.

    Args:
        status: What the kernel says of the process.

    Raises:
        PlatformError: it may not.
    """
    for line in status.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff" and not int(value, 16) >> _CAP_NET_ADMIN & 1:
            raise PlatformError(
                "this process may not change the firewall",
                hint="run it as root, or with CAP_NET_ADMIN, or without --act to see what it would do",
            )


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Run a block while no other process is in such a block of the same folder; the lock goes with its process.

    Args:
        folder: Where the journal of what is done is.

    Raises:
        ConfigError: another process is; with its id.
        StorageError: the folder cannot be written.
    """
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"a defence cannot act without a lock in {folder}: {error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.read(descriptor, 20).decode(errors="replace").strip()
            raise ConfigError(
                f"another defence acts in {folder}{who and f': process {who}'}; two would undo each other's actions",
                hint="end that one first, or give this one a --folder of its own",
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
