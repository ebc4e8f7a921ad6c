"""A TUN device: a network interface whose packets a process reads and writes."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from skerry.errors import PlatformError
from skerry.testbed.links.arrivals import Arrivals
from skerry.testbed.links.namespace import inside

DEVICE = Path("/dev/net/tun")
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
# No header of ours before each packet; and so no segmentation offload, which would let one "packet" be many.
IFF_NO_PI = 0x1000
LONGEST_NAME = 15


class TunDevice:
    """An interface in a namespace, which exists as long as this object is open.

    Args:
        namespace: Where it appears; None is where the process is.
        interface: Its name, at most 15 bytes.

    Raises:
        PlatformError: the machine has no TUN devices, the name is taken, or this process may not make one.
    """

    def __init__(self, namespace: str | None, interface: str) -> None:
        self.namespace = namespace
        self.interface = interface
        with inside(namespace):
            try:
                self.descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                raise PlatformError(f"cannot open {DEVICE}: {error.strerror}; links by TUN need it") from error
            request = struct.pack("16sH22x", os.fsencode(interface), IFF_TUN | IFF_NO_PI)
            try:
                fcntl.ioctl(self.descriptor, TUNSETIFF, request)
            except OSError as error:
                os.close(self.descriptor)
                where = f" in the namespace {namespace}" if namespace else ""
                raise PlatformError(f"cannot make the interface {interface}{where}: {error.strerror}") from error
            self.arrivals = _open_arrivals(interface)
            # What is opened here shows the interfaces of this namespace wherever it is read.
            self._statistics = os.open("/proc/thread-self/net/dev", os.O_RDONLY | os.O_CLOEXEC)

    def dropped(self) -> int:
        """Return how many packets the kernel threw away because they were not read soon enough."""
        text = os.pread(self._statistics, 1 << 16, 0).decode("ascii", "replace")
        for line in text.splitlines():
            name, colon, numbers = line.partition(":")
            if colon and name.strip() == self.interface:
                return int(numbers.split()[11])
        return 0

    def close(self) -> None:
        """Remove the interface."""
        if self.arrivals is not None:
            self.arrivals.close()
        os.close(self._statistics)
        os.close(self.descriptor)


def _open_arrivals(interface: str) -> Arrivals | None:
    """Return the stamps of an interface's packets, or None where the machine does not give them."""
    try:
        return Arrivals(None, interface)
    except OSError:
        return None
