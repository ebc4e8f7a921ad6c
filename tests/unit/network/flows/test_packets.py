import csv
import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from skerry.errors import DataError
from skerry.network.flows.batch import address_text
from skerry.network.flows.packets.capture import read_capture
from skerry.network.flows.packets.headers import Link, read_headers
from skerry.network.flows.packets.recording import read_packets
from support import flow_traffic as traffic


def one(packet, link=Link.ETHERNET):
    (row,) = read_headers([packet], [link])
    return row


def ends(row):
    return address_text(*row["source"].item()), address_text(*row["destination"].item())


UDP = traffic.udp(53, 5353, 10)
EXTENDED = bytes([60, 0, 0, 0, 0, 0, 0, 0]) + bytes([44, 1]) + bytes(14) + bytes([17, 0, 0, 0, 0, 0, 0, 0]) + UDP


def test_ports_are_found_behind_vlan_tags_and_extension_headers():
    tags = bytes.fromhex("88a80001") + traffic.VLAN[12:]
    tagged = traffic.VLAN[:12] + tags + traffic.ipv4("10.0.0.1", "10.0.0.2", 17, UDP)
    extended = traffic.ETHERNET_6 + traffic.ipv6("2001:db8::1", "2001:db8::2", 0, EXTENDED)

    for packet in (tagged, extended):
        row = one(packet)
        assert (row["source_port"], row["destination_port"], row["protocol"]) == (53, 5353, 17)
        assert packet[row["payload"] :] == b"y" * 10
    assert ends(one(extended)) == ("2001:db8::1", "2001:db8::2")


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (Link.RAW, b""),
        (Link.NULL, b"\2\0\0\0"),
        (Link.LINUX_COOKED, bytes(14) + b"\x08\0"),
        (Link.LINUX_COOKED_2, b"\x08\0" + bytes(18)),
    ],
)
def test_packets_are_read_behind_other_link_layers(link, head):
    row = one(head + traffic.ipv4("10.0.0.1", "10.0.0.2", 6, traffic.tcp(1, 2, 0x12)), link)

    assert ends(row) == ("10.0.0.1", "10.0.0.2")
    assert (row["tcp_flags"], row["ip_bytes"]) == (0x12, 40)


def test_ports_are_found_behind_labels():
    packet = traffic.ipv4("10.0.0.1", "10.0.0.2", 17, UDP)
    labelled = traffic.ETHERNET[:12] + bytes.fromhex("8847 000120ff 000101ff") + packet

    row = one(labelled)

    assert (row["source_port"], row["destination_port"], row["family"]) == (53, 5353, 4)


@pytest.mark.parametrize("folder", ["pcap_normal", "pcap_iot_normal"])
def test_captures_hold_what_their_manifest_says(folder):
    shared = Path(os.environ.get("SKERRY_SHARED") or Path(__file__).parents[5] / "shared") / "data" / folder
    if not shared.is_dir():
        pytest.skip("the captures are in neither $SKERRY_SHARED nor ../shared")
    for row in csv.DictReader((shared / "manifest.csv").read_text().splitlines()):
        if int(row["packets"]) > 1_000:
            continue
        said = dict(pair.split(":") for pair in row["protocols"].split())
        protocols = np.concatenate([batch["protocol"] for batch in read_packets(shared / row["file"])])
        for name, number in (("tcp", 6), ("udp", 17), ("icmp", 1), ("icmp6", 58)):
            if name in said:
                assert int(said[name]) == (protocols == number).sum(), (row["file"], name)


def test_later_fragments_have_no_ports():
    row = one(traffic.ETHERNET + traffic.ipv4("10.0.0.1", "10.0.0.2", 17, UDP, 76))

    assert (row["family"], row["protocol"], row["source_port"], row["payload"]) == (4, 17, 0, 0)


def test_what_is_no_ip_has_no_family():
    assert one(traffic.ETHERNET[:12] + b"\x08\x06" + bytes(28))["family"] == 0
    assert one(b"", 77)["family"] == 0


def test_a_capture_is_read_as_flows_of_one_packet(tmp_path):
    traffic.write_pcap(tmp_path / "t.pcap", traffic.packets())

    (batch,) = read_packets(tmp_path / "t.pcap")

    assert len(batch) == 39
    assert batch["bytes"].sum() == 5_876  # as nfdump counts the same packets
    assert batch["received_ms"][0] == 1_750_000_000_000


def block(kind, body):
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
NANOSECONDS = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)


def test_pcapng_is_read_with_the_resolution_of_its_times(tmp_path):
    stamp = 1_750_000_000_123_456_789
    packet = struct.pack("<IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, 4, 60) + b"abcd"
    data = SECTION + block(1, struct.pack("<HHI", 1, 0, 0) + NANOSECONDS) + block(5, b"statistics..") + block(6, packet)
    (tmp_path / "t.pcapng.gz").write_bytes(gzip.compress(data + block(6, packet)[:9]))

    (frame,) = read_capture(tmp_path / "t.pcapng.gz")

    assert frame == (1_750_000_000_123, 1, b"abcd", 60)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "neither pcap nor pcapng"),
        (b"\xd4\xc3\xb2\xa1", "ends within its header"),
        (b"\xd4\xc3\xb2\xa1" + bytes(20) + struct.pack("<IIII", 0, 0, 1 << 30, 0), "packet of 1073741824 bytes"),
        (SECTION + block(6, bytes(20)), "interface that is not described"),
        (SECTION + struct.pack("<II", 6, 5), "block of 5 bytes"),
        (b"\x0a\x0d\x0d\x0a" + bytes(8), "no byte order"),
        (b"\x1f\x8b" + bytes(30), "damaged"),
    ],
)
def test_a_file_that_is_no_capture_is_refused(tmp_path, data, said):
    (tmp_path / "t").write_bytes(data)

    with pytest.raises(DataError, match=said):
        list(read_capture(tmp_path / "t"))
