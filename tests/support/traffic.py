"""Traffic to one destination: clients, crowds and floods, as windows."""

from ipaddress import IPv4Address, ip_address
from random import Random

from skerry.network.actions import Flag, Protocol
from skerry.network.detection import Slice, make_traffic

VICTIM = ip_address("10.9.3.2")
CONNECTION = Flag.SYN | Flag.ACK | Flag.FIN


def client(number, *, packets=20, length_bytes=600, port=80):
    """Return one connection of a client that is answered."""
    return Slice(
        source=IPv4Address("10.9.1.0") + number,
        protocol=Protocol.TCP,
        source_port=40_000 + number,
        destination_port=port,
        flags=CONNECTION,
        length_bytes=length_bytes,
        packets=packets,
    )


def clients(count=10, **options):
    """Return the connections of several clients."""
    return [client(number, **options) for number in range(count)]


def syn_flood(random, *, count=500, packets=4, length_bytes=40, port=80):
    """Return opening packets from forged sources."""
    return [
        Slice(
            source=IPv4Address(random.randrange(2**32)),
            protocol=Protocol.TCP,
            source_port=random.randrange(1024, 65536),
            destination_port=port,
            flags=Flag.SYN,
            length_bytes=length_bytes,
            packets=packets,
        )
        for _ in range(count)
    ]


def amplification(random, *, reflectors=200, packets=50, port=53):
    """Return answers that nobody asked for, from the port of a service."""
    return [
        Slice(
            source=IPv4Address("198.18.0.0") + number,
            protocol=Protocol.UDP,
            source_port=port,
            destination_port=random.randrange(1024, 65536),
            length_bytes=random.randrange(1200, 1480),
            packets=packets,
        )
        for number in range(reflectors)
    ]


def few_sources(*, sources=5, packets=5000, length_bytes=60):
    """Return a flood of opening packets as a real system sends them, from machines that are really there."""
    return [
        Slice(
            source=IPv4Address("203.0.113.0") + number,
            protocol=Protocol.TCP,
            source_port=5000,
            destination_port=80,
            flags=Flag.SYN,
            length_bytes=length_bytes,
            packets=packets,
        )
        for number in range(sources)
    ]


def window(*parts, ended_s=1.0, length_s=1.0, known=()):
    """Return a window of several parts."""
    slices = [item for part in parts for item in part]
    return make_traffic(VICTIM, slices, ended_s=ended_s, length_s=length_s, known=known)


def seeded(seed=0):
    """Return random numbers that are the same every time."""
    return Random(seed)


def ack_flood(random, *, count=1000, packets=1, port=80):
    """Return bare acknowledgements from forged sources, which belong to no connection."""
    return [
        Slice(
            source=IPv4Address(random.randrange(2**32)),
            protocol=Protocol.TCP,
            source_port=random.randrange(1024, 65536),
            destination_port=port,
            flags=Flag.ACK,
            length_bytes=40,
            packets=packets,
        )
        for _ in range(count)
    ]


class HeldConnections:
    """Connections that say a little every so often, and never end.

    Args:
        count: How many.
        sources: Of how many machines.
        every_s: How often each says something.
        packets, length_bytes: What that is.
        completed: Whether they are more than opened.
    """

    def __init__(self, count, *, sources=1, every_s=10.0, packets=2, length_bytes=60, port=80, completed=True):
        self._count = count
        self._sources = sources
        self._every_s = every_s
        self._said = {"packets": packets, "length_bytes": length_bytes}
        self._port = port
        self._completed = completed

    def between(self, from_s, to_s):
        """Return what they say in a span, seconds since the first was opened; they are opened within `every_s`."""
        slices = []
        for number in range(self._count):
            offset_s = self._every_s * number / self._count
            before = max(0, int((from_s - offset_s) // self._every_s) + 1) if from_s >= offset_s else 0
            times = int((to_s - offset_s) // self._every_s) + 1 - before if to_s > offset_s else 0
            if times <= 0 or (before and not self._completed):
                continue
            flags = Flag.SYN if not self._completed else Flag.ACK if before else Flag.SYN | Flag.ACK
            slices.append(
                Slice(
                    source=IPv4Address("203.0.113.0") + number % self._sources,
                    protocol=Protocol.TCP,
                    source_port=20_000 + number,
                    destination_port=self._port,
                    flags=flags,
                    **self._said,
                )
            )
        return slices
