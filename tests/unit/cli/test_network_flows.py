import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from skerry.cli.main import main
from support import flow_traffic as traffic
from support.flow_messages import netflow5, record5

GOLDEN = Path(__file__).parents[2] / "data" / "flows"


def test_a_recording_is_shown_as_a_table(capsys):
    assert main(["network", "flows", "read", str(GOLDEN / "softflowd-5.pcap.gz"), "--limit", "3"]) == 0

    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[1:] == ["192.0.2.7:51515", "203.0.113.80:443", "tcp", "FSPA", "5", "320", "0.081", "1"]
    assert "23 more" in shown.err
    assert "1 datagrams, 26 records" in shown.err


def test_a_recording_is_shown_as_json(capsys):
    assert main(["network", "flows", "read", str(GOLDEN / "pmacct-9.pcap.gz"), "--json"]) == 0

    shown = json.loads(capsys.readouterr().out)
    assert len(shown["records"]) == shown["counts"]["records"] == 27


def test_features_of_a_recording_are_shown_by_destination(capsys):
    command = ["network", "flows", "read", str(GOLDEN / "pmacct-ipfix.pcap.gz"), "--features", "1", "--json"]
    assert main(command) == 0

    rows = json.loads(capsys.readouterr().out)["features"]
    (attack,) = [row for row in rows if row["destination"] == "203.0.113.9" and row["protocol"] == 6]
    assert (attack["sources"], attack["syn_ratio"], attack["new_source_ratio"]) == (12, 1, 1)


def test_what_is_no_recording_is_said(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")

    assert main(["network", "flows", "read", str(tmp_path / "notes.txt")]) == 2

    assert "neither pcap nor pcapng" in capsys.readouterr().err


def test_ordinary_traffic_is_no_empty_recording_without_a_word(capsys, tmp_path):
    packet = traffic.ipv4("192.0.2.1", "192.0.2.2", 6, traffic.tcp(1234, 80, 0x02))
    traffic.write_pcap(tmp_path / "traffic.pcap", iter([traffic.ETHERNET + packet]))
    command = ["network", "flows", "read", str(tmp_path / "traffic.pcap")]

    assert main(command) == 0
    assert "no flow records; if this is ordinary traffic, --packets shows it" in capsys.readouterr().err
    assert main([*command, "--packets"]) == 0
    shown = capsys.readouterr()
    assert "192.0.2.2:80" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("words", [["--json"], []])
def test_records_are_shown_as_they_come(capsys, tmp_path, words):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    stopped = threading.Event()

    def export():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
            while not stopped.wait(0.02):
                exporter.sendto(netflow5(record5()), ("127.0.0.1", port))

    thread = threading.Thread(target=export)
    thread.start()
    recording = tmp_path / "flows.pcap"
    try:
        command = ["network", "flows", "listen", "--port", str(port), "--records", "2", "--seconds", "60"]
        assert main([*command, "--record", str(recording), *words]) == 0
    finally:
        stopped.set()
        thread.join()

    lines = capsys.readouterr().out.splitlines()
    rows = [json.loads(line)["source"] for line in lines] if words else [line.split()[1] for line in lines[1:]]
    assert [row.partition(":")[0] for row in rows] == ["198.51.100.1", "198.51.100.1"]
    assert main(["network", "flows", "read", str(recording), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["records"] >= 2


def test_who_has_no_numpy_is_told_what_to_install():
    words = ["network", "flows", "read", str(GOLDEN / "pmacct-9.pcap.gz")]
    code = f"import sys; sys.modules['numpy'] = None; from skerry.cli.main import main; sys.exit(main({words!r}))"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ended.returncode == 1
    assert 'pip install "skerry[network]"' in ended.stderr
    assert "Traceback" not in ended.stderr
