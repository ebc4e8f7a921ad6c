import sys
from ipaddress import IPv4Address, ip_network

from skerry.network.actions import Path, Protocol, find_management_paths

EVERYWHERE = ip_network("0.0.0.0/0")


def find(tmp_path, variables=None, *, gateway=None, resolver=""):
    routes = tmp_path / "route"
    lines = ["Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT"]
    lines.append("eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0")
    if gateway is not None:
        number = int.from_bytes(IPv4Address(gateway).packed, sys.byteorder)
        lines.append(f"eth0 00000000 {number:08X} 0003 0 0 0 00000000 0 0 0")
    routes.write_text("\n".join(lines) + "\n")
    names = tmp_path / "resolv.conf"
    names.write_text(resolver)
    return find_management_paths(variables or {}, routes=routes, resolver=names)


def test_the_session_of_ssh_is_kept_open_for_the_next_one_too(tmp_path):
    paths = find(tmp_path, {"SSH_CONNECTION": "192.0.2.7 50022 10.9.3.1 22"})

    peer, local = ip_network("192.0.2.7"), ip_network("10.9.3.1")
    assert paths == (Path(peer=peer, local=local, protocol=Protocol.TCP, local_port=22),)


def test_gateways_are_kept_open(tmp_path):
    assert find(tmp_path, gateway="10.9.3.254") == (Path(peer=ip_network("10.9.3.254"), local=EVERYWHERE),)


def test_answers_of_name_servers_are_kept_open(tmp_path):
    paths = find(
        tmp_path, resolver="# made by hand\nnameserver 10.9.4.53\nnameserver fe80::1%eth0\nnameserver 127.0.0.53\n"
    )

    assert {(str(path.peer), path.protocol, path.peer_port) for path in paths} == {
        ("10.9.4.53/32", Protocol.UDP, 53),
        ("10.9.4.53/32", Protocol.TCP, 53),
        ("fe80::1/128", Protocol.UDP, 53),
        ("fe80::1/128", Protocol.TCP, 53),
    }


def test_nothing_is_made_up_where_nothing_is_found(tmp_path):
    assert find(tmp_path, {"SSH_CONNECTION": "not an address"}) == ()
    assert find_management_paths({}, routes=tmp_path / "no", resolver=tmp_path / "none") == ()
