"""A star of networks: a router, which the thread is in, and hosts around it."""

import os
import subprocess
import sys
import textwrap
from contextlib import ExitStack, contextmanager

from skerry.testbed.links.namespace import add_namespace, delete_namespace, set_kernel_value


@contextmanager
def star(hosts):
    """Give each host a network, linked to the thread's own; yield the names of the networks.

    Args:
        hosts: By name, the third number of its network: 10.9.N.2, with the router at 10.9.N.1 on ``to-NAME``.
    """
    names = {host: f"sk-{host}-{os.getpid()}" for host in hosts}
    with ExitStack() as cleaning:
        for host, number in hosts.items():
            name = names[host]
            add_namespace(name)
            cleaning.callback(delete_namespace, name)
            for words in (
                f"link add to-{host} type veth peer name eth0 netns {name}",
                f"addr add 10.9.{number}.1/24 dev to-{host}",
                f"link set to-{host} up",
                f"-n {name} addr add 10.9.{number}.2/24 dev eth0",
                f"-n {name} link set eth0 up",
                f"-n {name} route add default via 10.9.{number}.1",
            ):
                subprocess.run(["ip", *words.split()], check=True)
        set_kernel_value(None, "net.ipv4.ip_forward", "1")
        for scope in ("all", "default", *(f"to-{host}" for host in hosts)):
            set_kernel_value(None, f"net.ipv4.conf.{scope}.rp_filter", "0")
        yield names


FLOOD = """
import random, socket, struct, sys, time
target, per_s = socket.inet_aton(sys.argv[1]), int(sys.argv[2])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
began, sent = time.monotonic(), 0
while True:
    source = struct.pack("!I", random.randrange(0x20000000, 0x60000000))
    tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), 8080, 1, 0, 0x50, 2, 512, 0, 0)
    check = checksum(source + target + struct.pack("!HH", 6, len(tcp)) + tcp)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, source, target)
    raw.sendto(ip + tcp[:16] + struct.pack("!H", check) + tcp[18:], (sys.argv[1], 0))
    sent += 1
    ahead = sent / per_s - (time.monotonic() - began)
    if ahead > 0.005:
        time.sleep(ahead)
"""


@contextmanager
def flood(network, target, *, per_s):
    """Send opening packets without options from forged sources, from a network, until the block ends."""
    words = ["nsenter", f"--net=/run/netns/{network}", "--", sys.executable, "-c", textwrap.dedent(FLOOD)]
    with subprocess.Popen([*words, target, str(per_s)]) as process:
        try:
            yield
        finally:
            process.kill()
