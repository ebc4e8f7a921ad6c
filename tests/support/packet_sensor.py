"""A sensor for tests: it reads every packet that arrives on an interface. Exporters do that for the product."""

import select
import socket
import struct
import time
from ipaddress import IPv4Address

from skerry.network.actions import Flag, Protocol
from skerry.network.detection import Slice, make_traffic

ETH_P_IP = 0x0800
PROTOCOLS = {1: Protocol.ICMP, 6: Protocol.TCP, 17: Protocol.UDP}
ASKED = 0x17  # FIN, SYN, RST, ACK


class PacketSensor:
    """Gives the traffic to one destination, window by window.

    Args:
        interfaces: Where packets arrive, of the network that the thread is in.
        destination: Where they go.
        width_s: How long a window is.
    """

    def __init__(self, interfaces, destination, *, width_s=0.25):
        self._destination = IPv4Address(destination)
        self._width_s = width_s
        self._sockets = []
        for name in interfaces:
            reading = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
            reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            reading.bind((name, ETH_P_IP))
            reading.setblocking(False)
            self._sockets.append(reading)
        self._ends_s = time.monotonic() + width_s
        self._seen = {}
        self.windows = 0

    def close(self):
        for reading in self._sockets:
            reading.close()

    def __call__(self, timeout_s):
        """Wait until the window ends, or for so long; return it when it has ended."""
        until_s = min(self._ends_s, time.monotonic() + timeout_s)
        while (left_s := until_s - time.monotonic()) > 0:
            ready, _, _ = select.select(self._sockets, [], [], left_s)
            for reading in ready:
                self._take(reading)
        now_s = time.monotonic()
        if now_s < self._ends_s:
            return []
        length_s = now_s - self._ends_s + self._width_s
        self._ends_s = now_s + self._width_s
        self.windows += 1
        seen, self._seen = self._seen, {}
        slices = [
            Slice(
                source=IPv4Address(source),
                protocol=PROTOCOLS.get(protocol),
                source_port=ports[0],
                destination_port=ports[1],
                flags=Flag(flags) if protocol == 6 else None,
                length_bytes=size // packets,
                packets=packets,
            )
            for (source, protocol, ports), (packets, size, flags) in seen.items()
        ]
        return [make_traffic(self._destination, slices, ended_s=now_s, length_s=length_s)]

    def _take(self, reading):
        for _ in range(1000):
            try:
                packet, origin = reading.recvfrom(65535)
            except BlockingIOError:
                return
            if origin[2] == socket.PACKET_OUTGOING or packet[16:20] != self._destination.packed:
                continue
            size, protocol = struct.unpack_from("!H", packet, 2)[0], packet[9]
            head = (packet[0] & 15) * 4
            ports = struct.unpack_from("!HH", packet, head) if protocol in (6, 17) else (0, 0)
            flags = packet[head + 13] & ASKED if protocol == 6 else 0
            key = (packet[12:16], protocol, ports)
            packets, total, all_flags = self._seen.get(key, (0, 0, 0))
            self._seen[key] = (packets + 1, total + size, all_flags | flags)
