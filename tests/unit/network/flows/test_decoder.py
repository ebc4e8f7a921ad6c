import struct

import pytest

from skerry.network.flows import FlowDecoder
from support.flow_messages import (
    FLOW_FIELDS,
    NOW_MS,
    datagram,
    flow,
    flow_set,
    ipfix,
    netflow5,
    netflow9,
    options_template,
    options_template_9,
    record5,
    template,
)

TEMPLATE = flow_set(2, template(256, FLOW_FIELDS))
TEMPLATE_9 = flow_set(0, template(256, FLOW_FIELDS))


def decode(*messages):
    decoder = FlowDecoder()
    return decoder, list(decoder.decode([datagram(each) for each in messages]).rows())


def test_a_record_of_ipfix_becomes_a_row():
    decoder, rows = decode(ipfix(TEMPLATE, flow_set(256, flow(packets=3, octets=120))))

    assert rows == [
        {
            "received_ms": NOW_MS,
            "exporter": "192.0.2.250",
            "domain": 1,
            "source": "198.51.100.1",
            "destination": "203.0.113.9",
            "source_port": 40_000,
            "destination_port": 80,
            "protocol": 6,
            "tcp_flags": 2,
            "packets": 3,
            "bytes": 120,
            "first_ms": 1_750_000_000_000,
            "last_ms": 1_750_000_000_500,
            "sampling": 1,
        }
    ]
    assert decoder.counts.refused == {}


def test_a_record_of_netflow_9_becomes_a_row():
    _, rows = decode(netflow9(TEMPLATE_9, flow_set(256, flow() + flow("198.51.100.2"), padding=2)))

    assert [row["source"] for row in rows] == ["198.51.100.1", "198.51.100.2"]


def test_times_of_netflow_5_count_from_the_start_of_the_exporter():
    _, rows = decode(netflow5(record5()))

    assert rows[0]["first_ms"] == 1_750_000_010_500 - 10_000
    assert rows[0]["last_ms"] == 1_750_000_010_500 - 5_000
    assert (rows[0]["packets"], rows[0]["bytes"]) == (3, 180)


def test_a_flow_that_began_before_the_uptime_wrapped_is_not_from_the_future():
    _, rows = decode(netflow5(record5(first_ms=(1 << 32) - 1_000, last_ms=500), uptime_ms=1_000))

    assert rows[0]["last_ms"] - rows[0]["first_ms"] == 1_500


def test_the_header_of_netflow_5_says_the_sampling():
    _, rows = decode(netflow5(record5(), sampling=0x4000 | 100))

    assert (rows[0]["packets"], rows[0]["bytes"], rows[0]["sampling"]) == (300, 18_000, 100)


def test_data_before_their_template_wait_for_it():
    decoder, rows = decode(ipfix(flow_set(256, flow())), ipfix(TEMPLATE, sequence=1))

    assert len(rows) == 1
    assert (decoder.counts.sets_held, decoder.counts.sets_recovered, decoder.counts.sets_dropped) == (1, 1, 0)


def test_data_that_wait_have_a_bound():
    decoder = FlowDecoder(max_waiting_bytes=10_000)

    decoder.decode([datagram(ipfix(flow_set(300 + i, flow()), sequence=i)) for i in range(1_000)])

    assert decoder.counts.sets_held == 1_000
    assert decoder.counts.sets_dropped > 980


def test_data_that_waited_too_long_are_dropped():
    decoder = FlowDecoder()
    decoder.decode([datagram(ipfix(flow_set(256, flow())))])

    batch = decoder.decode([datagram(ipfix(TEMPLATE, sequence=1), received_ms=NOW_MS + 61_000)])

    assert (len(batch), decoder.counts.sets_dropped) == (0, 1)


def test_templates_of_two_exporters_on_one_machine_are_two():
    decoder = FlowDecoder()
    other = flow_set(2, template(256, [(12, 4), (8, 4), *FLOW_FIELDS[2:]]))

    batch = decoder.decode(
        [
            datagram(ipfix(TEMPLATE), port=1),
            datagram(ipfix(other), port=2),
            datagram(ipfix(flow_set(256, flow())), port=1),
            datagram(ipfix(flow_set(256, flow())), port=2),
        ]
    )

    assert [row["source"] for row in batch.rows()] == ["198.51.100.1", "203.0.113.9"]


def test_a_template_that_changes_is_read_the_new_way():
    changed = flow_set(2, template(256, [(12, 4), (8, 4), *FLOW_FIELDS[2:]]))
    data = flow_set(256, flow())

    _, rows = decode(ipfix(TEMPLATE, data), ipfix(changed, data, sequence=1))

    assert [row["source"] for row in rows] == ["198.51.100.1", "203.0.113.9"]


@pytest.mark.parametrize("number", [256, 2])
def test_a_withdrawn_template_is_forgotten(number):
    withdrawal = flow_set(2, struct.pack(">HH", number, 0))

    decoder, rows = decode(ipfix(TEMPLATE), ipfix(withdrawal), ipfix(flow_set(256, flow())))

    assert rows == []
    assert (decoder.counts.withdrawals, decoder.counts.sets_held) == (1, 1)


def test_withdrawing_all_templates_of_options_leaves_those_of_data():
    _, rows = decode(ipfix(TEMPLATE), ipfix(flow_set(3, struct.pack(">HH", 3, 0))), ipfix(flow_set(256, flow())))

    assert len(rows) == 1


def test_fields_of_variable_length_and_of_enterprises_are_stepped_over():
    fields = [(95, 0xFFFF), *FLOW_FIELDS[:4], (7, 0xFFFF, 9), (42, 3, 5951), *FLOW_FIELDS[4:], (96, 0xFFFF)]
    long_name = b"\xff\x01\x2c" + b"n" * 300

    def record(first, last):
        body = flow()
        return first + body[:12] + b"\x02hi" + b"abc" + body[12:] + last

    records = record(b"\x00", long_name) + record(b"\x03xyz", b"\x00")
    _, rows = decode(ipfix(flow_set(2, template(256, fields)), flow_set(256, records)))

    assert [(row["destination"], row["destination_port"], row["bytes"]) for row in rows] == [
        ("203.0.113.9", 80, 40),
        ("203.0.113.9", 80, 40),
    ]


def test_a_field_that_ends_outside_of_its_set_costs_only_what_follows():
    fields = [*FLOW_FIELDS, (95, 0xFFFF)]
    records = flow() + b"\x01x" + flow("198.51.100.2") + b"\xc8x"

    decoder, rows = decode(ipfix(flow_set(2, template(256, fields)), flow_set(256, records)))

    assert [row["source"] for row in rows] == ["198.51.100.1"]
    assert decoder.counts.refused == {"field_beyond_set": 1}


def test_numbers_may_have_any_length_up_to_eight_bytes():
    fields = [(8, 4), (12, 4), (2, 3), (1, 5)]
    record = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + (70_000).to_bytes(3, "big") + (1 << 33).to_bytes(5, "big")

    _, rows = decode(ipfix(flow_set(2, template(256, fields)), flow_set(256, record)))

    assert (rows[0]["packets"], rows[0]["bytes"]) == (70_000, 1 << 33)


def test_a_record_that_tells_both_directions_becomes_two():
    fields = [*FLOW_FIELDS, (1, 4, 29305), (2, 4, 29305), (6, 1, 29305)]
    record = flow(packets=5, octets=500) + struct.pack(">IIB", 9_000, 7, 0x12)

    _, rows = decode(ipfix(flow_set(2, template(256, fields)), flow_set(256, record)))

    assert [(r["source"], r["source_port"], r["packets"], r["bytes"], r["tcp_flags"]) for r in rows] == [
        ("198.51.100.1", 40_000, 5, 500, 0x02),
        ("203.0.113.9", 80, 7, 9_000, 0x12),
    ]


def test_type_and_code_of_icmp_are_the_destination_port():
    fields = [(8, 4), (12, 4), (4, 1), (32, 2), (2, 4)]
    record = bytes([10, 0, 0, 1, 10, 0, 0, 2, 1]) + struct.pack(">HI", 0x0800, 1)

    _, rows = decode(ipfix(flow_set(2, template(256, fields)), flow_set(256, record)))

    assert rows[0]["destination_port"] == 0x0800


def test_options_records_say_the_sampling_of_a_domain():
    options = flow_set(3, options_template(400, [(149, 4)], [(305, 4), (306, 4)]))
    said = flow_set(400, struct.pack(">III", 1, 1, 99))

    decoder, rows = decode(ipfix(TEMPLATE, options, said, flow_set(256, flow(packets=2))))

    assert (rows[0]["packets"], rows[0]["sampling"]) == (200, 100)
    assert decoder.counts.other_records == 1


def test_options_records_say_the_sampling_of_each_sampler():
    options = flow_set(1, options_template_9(400, [(1, 4)], [(48, 1), (49, 1), (50, 4)]))
    said = flow_set(400, b"".join(struct.pack(">IBBI", 0, sampler, 2, rate) for sampler, rate in [(1, 10), (2, 1000)]))
    templates = flow_set(0, template(256, [*FLOW_FIELDS, (48, 1)]))
    data = flow_set(256, flow() + b"\x01" + flow() + b"\x02" + flow() + b"\x09")

    _, rows = decode(netflow9(templates, options, said, data))

    assert [row["sampling"] for row in rows] == [10, 1000, 10]


@pytest.mark.parametrize(
    ("numbers", "gaps", "lost", "late"),
    [([0, 1, 2], 0, 0, 0), ([0, 1, 5], 1, 3, 0), ([0, 2, 1, 3], 1, 1, 1), ([0xFFFF_FFFF, 0], 0, 0, 0)],
)
def test_sequence_numbers_show_what_was_lost_and_what_came_late(numbers, gaps, lost, late):
    decoder, _ = decode(*[netflow9(TEMPLATE_9, sequence=number) for number in numbers])

    assert (decoder.counts.gaps, decoder.counts.lost, decoder.counts.late) == (gaps, lost, late)


def test_ipfix_counts_records_and_not_datagrams():
    data = flow_set(256, flow() * 3)

    decoder, _ = decode(ipfix(TEMPLATE, data), ipfix(data, sequence=3), ipfix(data, sequence=10))

    assert (decoder.counts.gaps, decoder.counts.lost) == (1, 4)


def test_an_exporter_that_starts_again_is_noticed_and_its_templates_are_forgotten():
    decoder, rows = decode(
        netflow9(TEMPLATE_9, sequence=70, uptime_ms=900_000),
        netflow9(flow_set(256, flow()), sequence=0, uptime_ms=1_000),
    )

    assert rows == []
    assert (decoder.counts.restarts, decoder.counts.sets_held, decoder.counts.late) == (1, 1, 0)


def test_the_rows_of_a_batch_are_in_the_order_of_arrival():
    data = flow_set(256, flow("198.51.100.7"))

    _, rows = decode(netflow5(record5("198.51.100.1")), ipfix(TEMPLATE, data), netflow5(record5("198.51.100.3")))

    assert [row["source"] for row in rows] == ["198.51.100.1", "198.51.100.7", "198.51.100.3"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "unknown_version"),
        (b"\x00\x05abc", "truncated_header"),
        (b"\x00\x09abc", "truncated_header"),
        (b"\x00\x0aabc", "truncated_header"),
        (b"\x00\x0a\x00\x0f" + bytes(12), "truncated_header"),
        (netflow5(record5(), count=5), "truncated_records"),
        (ipfix(struct.pack(">HH", 256, 3)), "set_beyond_message"),
        (ipfix(struct.pack(">HH", 256, 300)), "set_beyond_message"),
        (ipfix(flow_set(7, b"abcd")), "unknown_set"),
        (ipfix(flow_set(2, struct.pack(">HH", 256, 9))), "truncated_template"),
        (ipfix(flow_set(2, struct.pack(">HHHH", 256, 1, 0x8001, 4))), "truncated_template"),
        (ipfix(flow_set(3, struct.pack(">HH", 256, 1))), "truncated_template"),
        (ipfix(flow_set(2, template(256, [(8, 0)]))), "empty_template"),
        (ipfix(flow_set(2, template(256, [(8, 4)] * 300))), "template_too_large"),
    ],
)
def test_what_cannot_be_read_is_counted_by_reason(message, reason):
    decoder, _ = decode(message)

    assert decoder.counts.refused == {reason: 1}


def test_inventing_domains_does_not_drive_out_those_that_are_known():
    decoder = FlowDecoder(max_domains=10)
    decoder.decode([datagram(ipfix(TEMPLATE))])

    decoder.decode([datagram(ipfix(TEMPLATE, domain=i)) for i in range(2, 100)])

    assert decoder.counts.refused == {"domains_full": 89}
    assert len(decoder.decode([datagram(ipfix(flow_set(256, flow())))])) == 1


def test_domains_that_fell_silent_make_room():
    decoder = FlowDecoder(max_domains=1)
    decoder.decode([datagram(ipfix(TEMPLATE))])

    decoder.decode([datagram(ipfix(TEMPLATE, domain=2), received_ms=NOW_MS + 1_900_000)])

    assert decoder.counts.refused == {}


def test_inventing_templates_has_a_bound():
    decoder = FlowDecoder(max_templates=5, max_fields=1_000)

    decoder.decode([datagram(ipfix(flow_set(2, template(256 + i, FLOW_FIELDS)), sequence=0)) for i in range(50)])

    assert decoder.counts.templates == 5
    assert decoder.counts.refused == {"templates_full": 45}


def test_absurd_amounts_do_not_overflow():
    fields = [(8, 4), (12, 4), (2, 8), (1, 8), (34, 4), (152, 8)]
    record = bytes(8) + b"\xff" * 28

    _, rows = decode(ipfix(flow_set(2, template(256, fields)), flow_set(256, record)))

    assert rows[0]["packets"] == pytest.approx((2**64 - 1) * (2**32 - 1))
    assert rows[0]["first_ms"] == 1 << 43


@pytest.mark.parametrize("length", [3, 5, 6, 7])
@pytest.mark.parametrize("bit", range(6))
def test_counts_of_packets_with_a_flag_may_have_any_length(bit, length):
    element = (219, 218, 220, 221, 222, 223)[bit]  # of IANA: FIN, SYN, RST, PSH, ACK, URG
    described = template(300, [(8, 4), (12, 4), (2, 4), (element, length)])
    record = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack(">I", 9)
    _, rows = decode(
        ipfix(flow_set(2, described), flow_set(300, record + (9).to_bytes(length, "big") + record + bytes(length)))
    )
    assert [row["tcp_flags"] for row in rows] == [1 << bit, 0]
