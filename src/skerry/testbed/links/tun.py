"""Links between namespaces by a pair of TUN devices and a process that moves their packets. Needs root."""

from __future__ import annotations

from skerry.testbed.links.interface_link import InterfaceLink

# What passes between a packet's arrival in the kernel and its process' clock reading, and from waking up to the write.
AHEAD_S = 30e-6


class TunLink(InterfaceLink):
    """A link by TUN."""

    means = "tun"
    module = "skerry.testbed.links.tun_process"

    def up(self) -> None:
        """Start the process, and give the interfaces their addresses."""
        try:
            self._start(ends=self._interfaces(), ahead_s=AHEAD_S)
            self._configure()
        except BaseException:
            self.down()
            raise
