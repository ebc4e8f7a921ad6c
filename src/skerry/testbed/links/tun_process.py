"""``python -m skerry.testbed.links.tun_process``: the process behind a TUN link."""

from __future__ import annotations

import sys
import time
from typing import Any

from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.conductor import Conductor, run_process
from skerry.testbed.links.forwarder import Direction, Forwarder
from skerry.testbed.links.namespace import MTU_BYTES
from skerry.testbed.links.priority import take_priority
from skerry.testbed.links.scheduler import Scheduler
from skerry.testbed.links.tun_device import TunDevice


class TunLane:
    """One direction of packets, and the device that they come in by."""

    def __init__(self, source: TunDevice, target: TunDevice, scheduler: Scheduler) -> None:
        self.packets = Direction(source.descriptor, target.descriptor, scheduler, source.arrivals)
        self._source = source

    def change(self, conditions: Conditions) -> None:
        """Go on under other conditions; packets that are on their way keep their moments."""
        self.packets.scheduler.change(conditions, time.monotonic())

    def report(self) -> dict[str, Any]:
        """Return the counts of the scheduler, what the kernel dropped, and how late packets left."""
        return {
            **self.packets.scheduler.tally.to_dict(),
            "missed": self._source.dropped() + self.packets.refused,
            "lateness": self.packets.lateness.to_dict(),
        }


class TunProcess:
    """Both devices of a link, and what moves packets between them.

    Args:
        order: ``ends`` (namespace and interface of both), ``conditions``, ``schedules``, ``seed``, ``control`` (path
            of the socket), ``ahead_s``.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        first, second = (TunDevice(end["namespace"], end["interface"]) for end in order["ends"])
        self._devices = (first, second)
        forward, backward = (
            TunLane(
                source,
                target,
                Scheduler(Conditions.from_dict(order["conditions"][name]), seed=f"{order['seed']}/{name}"),
            )
            for name, source, target in (("forward", first, second), ("backward", second, first))
        )
        self._forwarder = Forwarder((forward.packets, backward.packets), ahead_s=order["ahead_s"])
        self.facts = {
            "scheduling": take_priority(),
            "stamps": "kernel" if first.arrivals and second.arrivals else "process",
            "offload": False,
            "mtu_bytes": MTU_BYTES,
        }
        self._conductor = Conductor(order, {"forward": forward, "backward": backward}, self.facts)

    def run(self) -> None:
        """Move packets until a request says stop."""
        conductor = self._conductor
        while not conductor.stopped:
            conductor.follow_schedules()
            for descriptor in self._forwarder.run(conductor.descriptors, conductor.wake_s):
                conductor.serve(descriptor)

    def close(self) -> None:
        """Remove the interfaces and the socket."""
        self._conductor.close()
        for device in self._devices:
            device.close()


if __name__ == "__main__":
    sys.exit(run_process(TunProcess))
