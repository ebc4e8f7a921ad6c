"""The traffic that the exporters are shown: few packets, each kind that a decoder can get wrong, and their truth."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path

ETHERNET = bytes.fromhex("02000000000202000000000108 00".replace(" ", ""))
ETHERNET_6 = ETHERNET[:12] + b"\x86\xdd"
VLAN = ETHERNET[:12] + bytes.fromhex("8100 002a 0800".replace(" ", ""))

SYN, ACK, PSH, FIN, RST = 0x02, 0x10, 0x08, 0x01, 0x04


def checksum(data: bytes) -> int:
    """Return the Internet checksum."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ipv4(source: str, destination: str, protocol: int, body: bytes, fragment: int = 0) -> bytes:
    """Return an IPv4 packet."""
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45, 0, 20 + len(body), 7, fragment, 64, protocol, 0,
        ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed,
    )  # fmt: skip
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def ipv6(source: str, destination: str, protocol: int, body: bytes) -> bytes:
    """Return an IPv6 packet."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + ends + body


def tcp(source_port: int, destination_port: int, flags: int, size: int = 0) -> bytes:
    """Return a TCP segment."""
    return struct.pack(">HHIIBBHHH", source_port, destination_port, 1, 1, 5 << 4, flags, 1024, 0, 0) + b"x" * size


def udp(source_port: int, destination_port: int, size: int) -> bytes:
    """Return a UDP datagram."""
    return struct.pack(">HHHH", source_port, destination_port, 8 + size, 0) + b"y" * size


def packets() -> Iterator[bytes]:
    """Yield the frames, in order: 12 flood sources, a TCP connection both ways, DNS, ICMP, IPv6, a VLAN, fragments."""
    for i in range(12):
        yield ETHERNET + ipv4(f"198.51.100.{i + 1}", "203.0.113.9", 6, tcp(40000 + i, 80, SYN))
    web, client = "203.0.113.80", "192.0.2.7"
    for flags, size, back in [
        (SYN, 0, False),
        (SYN | ACK, 0, True),
        (ACK, 0, False),
        (ACK | PSH, 120, False),
        (ACK | PSH, 1000, True),
        (ACK | PSH, 900, True),
        (ACK, 0, False),
        (ACK | FIN, 0, True),
        (ACK | FIN, 0, False),
    ]:
        body = tcp(443, 51515, flags, size) if back else tcp(51515, 443, flags, size)
        yield ETHERNET + (ipv4(web, client, 6, body) if back else ipv4(client, web, 6, body))
    for i in range(4):
        yield ETHERNET + ipv4(client, "203.0.113.53", 17, udp(53000 + i, 53, 30))
        yield ETHERNET + ipv4("203.0.113.53", client, 17, udp(53, 53000 + i, 220))
    for _ in range(3):
        yield ETHERNET + ipv4(client, "203.0.113.1", 1, struct.pack(">BBHHH", 8, 0, 0, 5, 1) + b"p" * 56)
    for _ in range(2):
        yield ETHERNET_6 + ipv6("2001:db8::7", "2001:db8:1::53", 17, udp(5353, 53, 40))
    yield ETHERNET_6 + ipv6("2001:db8::7", "2001:db8:1::80", 6, tcp(50005, 443, SYN))
    for _ in range(2):
        yield VLAN + ipv4("192.0.2.42", "203.0.113.42", 17, udp(4242, 4243, 100))
    yield ETHERNET + ipv4("198.51.100.200", "203.0.113.9", 17, udp(123, 5000, 600), 0x2000)
    yield ETHERNET + ipv4("198.51.100.200", "203.0.113.9", 17, b"z" * 400, 76)


def write_pcap(path: Path, frames: Iterator[bytes], started_s: float = 1_750_000_000.0, gap_s: float = 0.01) -> None:
    """Write frames as a capture file."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i, frame in enumerate(frames):
            at = started_s + i * gap_s
            file.write(struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(frame), len(frame)) + frame)
