import socket
import time

import pytest

from skerry.errors import ConfigError, InternalError, PlatformError, StorageError, TransportError
from skerry.network.flows import FlowBatch, FlowDecoder
from skerry.network.flows.collector import FlowCollector
from skerry.network.flows.packets.recording import Recording, read_datagrams
from skerry.network.flows.socket import DatagramSocket
from support.flow_messages import FLOW_FIELDS, flow, flow_set, ipfix, netflow5, record5, template


@pytest.fixture
def exporter():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        yield exporter


def collect(collector, count):
    """Return the batches that hold so many records together."""
    batches, end = [], time.monotonic() + 30
    while sum(map(len, batches)) < count and time.monotonic() < end:
        batch = collector.take(0.2)
        if batch is not None:
            batches.append(batch)
    return FlowBatch.join(batches)


def wait_until(reached):
    end = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_records_arrive_with_their_exporter_and_time(exporter):
    with FlowCollector(port=0) as collector:
        before_ms = time.time_ns() // 1_000_000
        exporter.sendto(ipfix(flow_set(2, template(256, FLOW_FIELDS))), ("127.0.0.1", collector.port))
        exporter.sendto(ipfix(flow_set(256, flow() * 5)), ("127.0.0.1", collector.port))
        (row, *_), total = list((batch := collect(collector, 5)).rows()), len(batch)

    assert total == 5
    assert row["exporter"] == "127.0.0.1"
    assert before_ms <= row["received_ms"] <= time.time_ns() // 1_000_000


def test_a_datagram_that_nobody_had_time_to_read_was_received_when_it_came(exporter):
    with DatagramSocket(port=0) as ours:
        end = time.monotonic() + 30
        while True:  # a kernel that nobody has asked for times begins to tell them a moment later
            exporter.sendto(b"1", ("127.0.0.1", ours.port))
            sent_ms = time.time_ns() // 1_000_000
            wait_until(lambda: time.time_ns() // 1_000_000 > sent_ms + 50)  # noqa: B023 - it is called at once
            (found,) = ours.receive(1.0)
            if found.received_ms <= sent_ms:
                break
            assert time.monotonic() < end

    assert found.received_ms <= sent_ms


def test_who_is_no_exporter_is_not_listened_to(exporter):
    with FlowCollector(port=0, exporters=["192.0.2.0/24"]) as collector:
        exporter.sendto(netflow5(record5()), ("127.0.0.1", collector.port))
        wait_until(lambda: collector.decoder.counts.refused)

        assert collector.decoder.counts.refused == {"unknown_exporter": 1}
        assert collector.take(0.0) is None
    with pytest.raises(ConfigError, match="is no network"):
        FlowCollector(port=0, exporters=["everybody"])


def test_what_the_kernel_drops_is_counted(exporter):
    with DatagramSocket(port=0, buffer_bytes=4_096) as receiver:
        for i in range(200):
            exporter.sendto(netflow5(*[record5()] * 20, sequence=i), ("127.0.0.1", receiver.port))
        taken = receiver.receive(5)
        exporter.sendto(netflow5(record5()), ("127.0.0.1", receiver.port))
        taken += receiver.receive(20)

        assert receiver.dropped == 201 - len(taken) > 0


def test_a_collector_whose_batches_nobody_takes_stops_reading(exporter):
    with FlowCollector(port=0, interval_ms=0) as collector:
        for read in range(1, 6):  # four batches that wait, and one in hand
            exporter.sendto(netflow5(record5()), ("127.0.0.1", collector.port))
            wait_until(lambda read=read: collector.decoder.counts.datagrams == read)
        for _ in range(20):
            exporter.sendto(netflow5(record5()), ("127.0.0.1", collector.port))

        assert collector.decoder.counts.datagrams == 5
        assert len(collect(collector, 25)) == 25


def test_datagrams_can_be_recorded_and_read_again(exporter, tmp_path):
    sent = [netflow5(record5(f"198.51.100.{i}"), sequence=i) for i in range(3)]
    with (
        Recording(tmp_path / "flows.pcap") as recording,
        FlowCollector(port=0, on_datagrams=recording.write) as collector,
    ):
        recording.port = collector.port
        for data in sent:
            exporter.sendto(data, ("127.0.0.1", collector.port))
        collect(collector, 3)

    read = [each for some in read_datagrams(tmp_path / "flows.pcap", port=recording.port) for each in some]

    assert [each.data for each in read] == sent
    assert {each.port for each in read} == {exporter.getsockname()[1]}
    assert list(read_datagrams(tmp_path / "flows.pcap", port=1)) == [[]]


def test_a_recording_that_cannot_be_written_is_told_and_the_collecting_goes_on(exporter):
    def write(_):
        raise OSError(28, "No space left on device")

    with FlowCollector(port=0, on_datagrams=write) as collector:
        exporter.sendto(netflow5(record5()), ("127.0.0.1", collector.port))
        with pytest.raises(StorageError, match="No space left"):
            collect(collector, 1)
        exporter.sendto(netflow5(record5()), ("127.0.0.1", collector.port))

        assert len(collect(collector, 2)) == 2  # which are not recorded any more


def test_datagrams_that_cannot_be_decoded_are_told_and_the_next_ones_are(exporter):
    class Broken(FlowDecoder):
        broken = True

        def decode(self, datagrams):
            if self.broken:
                self.broken = False
                raise ValueError("as the test says")
            return super().decode(datagrams)

    with FlowCollector(port=0, decoder=Broken()) as collector:
        exporter.sendto(netflow5(record5()), ("127.0.0.1", collector.port))
        with pytest.raises(InternalError, match="1 datagrams could not be decoded, and are lost: ValueError: as the"):
            collect(collector, 1)
        exporter.sendto(netflow5(record5()), ("127.0.0.1", collector.port))

        assert len(collect(collector, 1)) == 1


def test_a_socket_that_fails_is_told_and_read_again(exporter, monkeypatch):
    errors = [OSError(105, "No buffer space available")]
    receive = DatagramSocket.receive

    def fail_once(self, wait_s, **how):
        if errors:
            raise errors.pop()
        return receive(self, wait_s, **how)

    monkeypatch.setattr(DatagramSocket, "receive", fail_once)
    with FlowCollector(port=0) as collector:
        with pytest.raises(TransportError, match="No buffer space") as caught:
            collect(collector, 1)
        exporter.sendto(netflow5(record5()), ("127.0.0.1", collector.port))

        assert "ended" not in caught.value.details
        assert len(collect(collector, 1)) == 1


def test_a_socket_that_is_gone_ends_the_collecting_for_good():
    with FlowCollector(port=0) as collector:
        collector._socket.close()
        for _ in range(2):
            with pytest.raises(PlatformError, match="the socket that exporters send to is gone") as caught:
                collect(collector, 1)
            assert caught.value.details["ended"]


def test_both_families_are_heard_on_one_socket(exporter):
    with DatagramSocket("::", 0) as receiver:
        exporter.sendto(b"four", ("127.0.0.1", receiver.port))
        (datagram,) = receiver.receive(20)

    assert datagram.address == bytes([127, 0, 0, 1])


def test_a_port_that_is_taken_is_said():
    with DatagramSocket(port=0) as taken, pytest.raises(ConfigError, match="already in use") as raised:
        DatagramSocket(port=taken.port)
    assert "another --port" in raised.value.details["hint"]


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_this_machines_is_not_laid_to_the_port(host):
    with pytest.raises(ConfigError, match=f"udp {host} port 0") as raised:
        DatagramSocket(host, 0)
    assert "an address of this machine" in raised.value.details["hint"]
    assert "--port" not in raised.value.details["hint"]
