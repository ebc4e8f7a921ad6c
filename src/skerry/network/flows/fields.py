"""Which information element fills which column.

Source: the IPFIX registry of IANA (RFC 7012), of which NetFlow v9's field types are the first 127; RFC 5103 for the
reverse direction of a record that tells both.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# The private enterprise number under which RFC 5103 repeats each element for the reverse direction.
REVERSE = 29305

ADDRESS_4, ADDRESS_6 = 4, 16

# For each column the elements that may fill it, the better first. Of two that a template has, the first is taken.
# ``tcp_count_i`` counts packets with bit ``i`` of the flags, which is how Open vSwitch tells them.
CANDIDATES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "bytes": (1, 85, 231, 23),  # octetDeltaCount, octetTotalCount, initiatorOctets, postOctetDeltaCount
        "packets": (2, 86, 298, 24),
        "protocol": (4,),
        "tcp_flags": (6,),
        **{f"tcp_count_{i}": (element,) for i, element in enumerate((219, 218, 220, 221, 222, 223))},
        "source_port": (7, 180, 182),
        "destination_port": (11, 181, 183),
        "icmp": (32, 139),  # type * 256 + code
        "icmp_type": (176, 178),
        "icmp_code": (177, 179),
        "source_4": (8,),
        "destination_4": (12,),
        "source_6": (27,),
        "destination_6": (28,),
        "interface": (10,),
        "sampler": (48, 302),
        "interval": (34, 50),  # samplingInterval, samplerRandomInterval
        "first_uptime_ms": (22,),
        "last_uptime_ms": (21,),
        "first_s": (150,),
        "last_s": (151,),
        "first_ms": (152,),
        "last_ms": (153,),
        "first_ntp": (154, 156),  # seconds since 1900 and a fraction, as in NTP, for both micro- and nanoseconds
        "last_ntp": (155, 157),
        "first_ago_us": (158,),
        "last_ago_us": (159,),
        "boot_ms": (160,),
        "duration_ms": (161,),
        "duration_us": (162,),
    }
)

# The reverse direction of a record (RFC 5103): the same elements under another enterprise.
REVERSED: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"reverse_bytes": (1, 85), "reverse_packets": (2, 86), "reverse_tcp_flags": (6,)}
)

# What an options record says about sampling, and about the exporter's clock.
OPTIONS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "sampler": (48, 302, 84),
        "interface": (10,),
        "interval": (34, 50),
        "packet_interval": (305,),
        "packet_space": (306,),
        "size": (309,),
        "population": (310,),
        "probability": (311,),
        "boot_ms": (160,),
    }
)

_IPV4 = frozenset({"source_4", "destination_4"})
_IPV6 = frozenset({"source_6", "destination_6"})


def fits(column: str, length: int) -> bool:
    """Say whether a field of this length can fill a column.

    Args:
        column: A key of ``CANDIDATES``, ``REVERSED`` or ``OPTIONS``.
        length: Length of the field in bytes.
    """
    if column in _IPV4:
        return length == ADDRESS_4
    if column in _IPV6:
        return length == ADDRESS_6
    if column.endswith("_ntp"):
        return length == 8
    if column == "probability":  # the only floating point number here
        return length in {4, 8}
    return 1 <= length <= 8
