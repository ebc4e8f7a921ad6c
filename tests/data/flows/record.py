"""Records what real exporters send for the packets of ``tests/support/flow_traffic.py``: the golden files here.

Run as root, with the Debian packages softflowd, pmacct, nfdump, fprobe and openvswitch-switch installed:

    PYTHONPATH=src:tests python tests/data/flows/record.py [NAME ...]

Each exporter sees the same packets. Those that read captures are given one; fprobe and Open vSwitch see the packets on
a link, in a network namespace of their own. ``nfdump.json`` holds what the collectors of nfdump made of the same
datagrams: for each file a list of source, destination, ports, protocol, flags, packets and bytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from skerry.network.flows.datagram import Datagram
from skerry.network.flows.packets.recording import Recording
from support import flow_traffic as traffic

HERE = Path(__file__).parent
PORT = 20_555
NAMESPACE = "skerry-golden"
NEW_NETWORK = 0x4000_0000  # of setns
SOFTFLOWD = ["softflowd", "-d", "-a", "-6", "-p", "sf.pid", "-c", "sf.ctl", "-r", "traffic.pcap"]
PMACCT = """daemonize: false
pcap_savefile: traffic.pcap
pcap_sf_wait: true
aggregate: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags
"""
NFPROBE = PMACCT + f"plugins: nfprobe\nnfprobe_receiver: 127.0.0.1:{PORT}\nnfprobe_timeouts: expint=1:maxlife=1\n"
SFPROBE = PMACCT + f"plugins: sfprobe\nsfprobe_receiver: 127.0.0.1:{PORT}\nsampling_rate: 2\n"
TARGET = ["-n", f"127.0.0.1:{PORT}"]

# Exporters that read a capture: the words of each command, and its configuration where it takes one.
READERS: dict[str, tuple[list[str], str]] = {
    "softflowd-5": ([*SOFTFLOWD, *TARGET, "-v", "5"], ""),
    "softflowd-9": ([*SOFTFLOWD, *TARGET, "-v", "9"], ""),
    "softflowd-9-sampled": ([*SOFTFLOWD, *TARGET, "-v", "9", "-s", "2"], ""),
    "softflowd-ipfix": ([*SOFTFLOWD, *TARGET, "-v", "10"], ""),
    "softflowd-ipfix-bidirectional": ([*SOFTFLOWD, *TARGET, "-v", "10", "-b", "-A", "milli"], ""),
    "pmacct-5": (["pmacctd", "-f", "conf"], NFPROBE + "nfprobe_version: 5\n"),
    "pmacct-9": (["pmacctd", "-f", "conf"], NFPROBE + "nfprobe_version: 9\n"),
    "pmacct-9-sampled": (["pmacctd", "-f", "conf"], NFPROBE + "nfprobe_version: 9\nsampling_rate: 2\n"),
    "pmacct-ipfix": (["pmacctd", "-f", "conf"], NFPROBE + "nfprobe_version: 10\n"),
    "pmacct-ipfix-packets": (["pmacctd", "-f", "conf"], NFPROBE + "nfprobe_version: 10\nnfprobe_dont_cache: true\n"),
    "pmacct-sflow": (["pmacctd", "-f", "conf"], SFPROBE),
    "nfdump-5": (["nfreplay", "-H", "127.0.0.1", "-p", str(PORT), "-v", "5", "-r", "flows.nf"], ""),
    "nfdump-9": (["nfreplay", "-H", "127.0.0.1", "-p", str(PORT), "-v", "9", "-r", "flows.nf"], ""),
}

# What Open vSwitch is told to export; `{bridge}` is the switch.
SWITCHES = {
    "openvswitch-5": (
        f'-- set bridge br0 netflow=@n -- --id=@n create netflow targets="127.0.0.1:{PORT}" active_timeout=1'
    ),
    "openvswitch-sflow": (
        f'-- set bridge br0 sflow=@s -- --id=@s create sflow agent=lo target="127.0.0.1:{PORT}" sampling=2 polling=1'
    ),
    "openvswitch-ipfix": (
        f'-- set bridge br0 ipfix=@i -- --id=@i create ipfix targets="127.0.0.1:{PORT}" sampling=1 obs_domain_id=7 '
        "cache_active_timeout=1 other_config:enable-output-sampling=false"
    ),
}


def main(names: Sequence[str]) -> None:
    """Record the exporters that were named, or all."""
    reading = HERE / "nfdump.json"
    readings = json.loads(reading.read_text()) if reading.exists() else {}
    every = [*READERS, "fprobe-5", *SWITCHES]
    for name in names or every:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            traffic.write_pcap(Path("traffic.pcap"), traffic.packets())
            live = name not in READERS
            datagrams = list(_live(name) if live else _reading(name))
            with Recording(Path("recording"), PORT) as recording:
                recording.write(datagrams)
            (HERE / f"{name}.pcap.gz").write_bytes(gzip.compress(Path("recording").read_bytes(), mtime=0))
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            readings[name] = _read_by_nfdump(name, datagrams)
        print(f"{name}: {len(datagrams)} datagrams, {sum(len(each.data) for each in datagrams)} bytes")
    text = ",\n".join(f"{json.dumps(name)}: {_lines(readings[name])}" for name in sorted(readings))
    reading.write_text(f"{{{text}}}\n")


def _lines(rows: Sequence[object]) -> str:
    return "[\n" + ",\n".join(map(json.dumps, rows)) + "]"


def _read_by_nfdump(name: str, datagrams: Sequence[Datagram]) -> list[list[object]]:
    collector = "sfcapd" if name.endswith("sflow") else "nfcapd"
    Path("flows").mkdir()
    target = ("127.0.0.1", PORT + 1)
    with _running([collector, "-p", str(target[1]), "-w", "flows", "-t", "3600"]):
        time.sleep(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for datagram in datagrams:
                sender.sendto(datagram.data, target)
        time.sleep(1)
    written = subprocess.run(["nfdump", "-R", "flows", "-o", "json"], check=True, capture_output=True, text=True).stdout
    rows = []
    for row in json.loads(written):
        ends = [row.get(f"{end}4_addr") or row.get(f"{end}6_addr") for end in ("src", "dst")]
        flags = sum(1 << bit for bit, letter in enumerate("FSRPAUEC") if letter in row.get("tcp_flags", ""))
        # It gives ICMP as two numbers where others have ports.
        ports = [row.get("src_port", 0), row.get("dst_port", row.get("icmp_type", 0) << 8 | row.get("icmp_code", 0))]
        rows.append([*ends, *ports, row["proto"], flags, row["in_packets"], row["in_bytes"]])
    return sorted(rows)


def _reading(name: str) -> Iterator[Datagram]:
    command, configuration = READERS[name]
    Path("conf").write_text(configuration)
    if "nfreplay" in command:
        Path("nf").mkdir()
        subprocess.run(["nfpcapd", "-r", "traffic.pcap", "-w", "nf"], check=True, capture_output=True)
        next(Path("nf").glob("nfcapd.*")).rename("flows.nf")
    with _receiver() as receiver, _running(command):
        yield from _drain(receiver, first_s=10, quiet_s=3)


def _live(name: str) -> Iterator[Datagram]:
    for line in [
        f"netns add {NAMESPACE}",
        f"-n {NAMESPACE} link set lo up",
        f"-n {NAMESPACE} link add in0 type veth peer name in1",
        f"-n {NAMESPACE} link add out0 type veth peer name out1",
        *[f"-n {NAMESPACE} link set {each} addrgenmode none up" for each in ("in0", "in1", "out0", "out1")],
    ]:
        subprocess.run(["ip", *line.split()], check=True)
    try:
        exporter = _probe() if name.startswith("fprobe") else _switch(SWITCHES[name])
        with _inside(NAMESPACE), _receiver() as receiver, exporter:
            _send()
            yield from _drain(receiver, first_s=15, quiet_s=4)
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=True)


@contextlib.contextmanager
def _probe() -> Iterator[None]:
    words = ["-i", "in1", "-s", "1", "-d", "1", "-e", "2", "-v", "0", "-l", "2", f"127.0.0.1:{PORT}"]
    with _running(["fprobe", *words]):
        time.sleep(1)
        yield


@contextlib.contextmanager
def _switch(export: str) -> Iterator[None]:
    here = Path.cwd()
    os.environ.update(dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"), str(here)))
    database = f"unix:{here}/db.sock"
    subprocess.run(["ovsdb-tool", "create", "conf.db", "/usr/share/openvswitch/vswitch.ovsschema"], check=True)
    tell = ["ovs-vsctl", f"--db={database}"]
    with _running(["ovsdb-server", str(here / "conf.db"), f"--remote=punix:{here}/db.sock"]):
        while not Path("db.sock").exists():
            time.sleep(0.05)
        subprocess.run([*tell, "--no-wait", "init"], check=True)
        with _running(["ovs-vswitchd", database, "--disable-system"]):
            words = "add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 in1 -- add-port br0 out1"
            subprocess.run([*tell, *words.split(), *export.split()], check=True)
            time.sleep(1)
            yield


def _send() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind(("in0", 0))
        for frame in traffic.packets():
            link.send(frame)
            time.sleep(0.01)


@contextlib.contextmanager
def _inside(namespace: str) -> Iterator[None]:
    """Be in a network namespace, with all that is started meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as before, open(f"/run/netns/{namespace}") as inside:
        if libc.setns(inside.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(before.fileno(), NEW_NETWORK)


@contextlib.contextmanager
def _receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", PORT))
        yield receiver


@contextlib.contextmanager
def _running(command: Sequence[str]) -> Iterator[None]:
    with open("log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def _drain(receiver: socket.socket, *, first_s: float, quiet_s: float) -> Iterator[Datagram]:
    """Yield what comes until nothing came for a while; the exporters here have told all by then."""
    receiver.settimeout(first_s)
    end = time.monotonic() + 8
    with contextlib.suppress(TimeoutError):
        while time.monotonic() < end:
            data, (address, port) = receiver.recvfrom(65_535)
            yield Datagram(data, socket.inet_aton(address), port, int(time.time() * 1000))
            receiver.settimeout(quiet_s)


if __name__ == "__main__":
    main(sys.argv[1:])
