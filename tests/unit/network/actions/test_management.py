import sys
from ipaddress import IPv4Address, ip_network

from skerry.network.actions import Path, Protocol, find_management_paths, inherit_session

EVERYWHERE = ip_network("0.0.0.0/0")


def find(tmp_path, variables=None, *, gateway=None, resolver="", routes_v6=""):
    routes = tmp_path / "route"
    lines = ["Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT"]
    lines.append("eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0")
    if gateway is not None:
        number = int.from_bytes(IPv4Address(gateway).packed, sys.byteorder)
        lines.append(f"eth0 00000000 {number:08X} 0003 0 0 0 00000000 0 0 0")
    routes.write_text("\n".join(lines) + "\n")
    names = tmp_path / "resolv.conf"
    names.write_text(resolver)
    table_v6 = tmp_path / "ipv6_route"
    table_v6.write_text(routes_v6)
    return find_management_paths(variables or {}, routes=routes, routes_v6=table_v6, resolver=names)


def test_the_session_of_ssh_is_kept_open_for_the_next_one_too(tmp_path):
    paths = find(tmp_path, {"SSH_CONNECTION": "192.0.2.7 50022 10.9.3.1 22"})

    peer, local = ip_network("192.0.2.7"), ip_network("10.9.3.1")
    assert paths == (Path(peer=peer, local=local, protocol=Protocol.TCP, local_port=22),)


def test_gateways_are_kept_open(tmp_path):
    assert find(tmp_path, gateway="10.9.3.254") == (Path(peer=ip_network("10.9.3.254"), local=EVERYWHERE),)


def test_gateways_of_ipv6_are_kept_open(tmp_path):
    net, nobody = "fd000000000000000000000000000000", "0" * 32
    gateway = "fd000000000000000000000000000001"
    table = [
        f"{net} 40 {nobody} 00 {nobody} 00000100 00000001 00000000 00000001     eth0",
        f"{nobody} 00 {nobody} 00 {gateway} 00000400 00000003 00000000 00000003     eth0",
    ]

    paths = find(tmp_path, routes_v6="\n".join(table) + "\n")

    assert paths == (Path(peer=ip_network("fd00::1"), local=ip_network("::/0")),)


def write_process(tmp_path, number, parent, **variables):
    folder = tmp_path / str(number)
    folder.mkdir()
    (folder / "status").write_text(f"Name:\tsome\nPPid:\t{parent}\nUid:\t0\n")
    (folder / "environ").write_text("".join(f"{name}={value}\0" for name, value in variables.items()))


def test_a_session_that_sudo_has_not_passed_on_is_found_in_the_processes_above(tmp_path):
    write_process(tmp_path, 1, 0)
    write_process(tmp_path, 7, 1, SSH_CONNECTION="192.0.2.7 50022 10.9.3.1 22", HOME="/root")
    write_process(tmp_path, 8, 7, HOME="/root")
    write_process(tmp_path, 9, 8)
    write_process(tmp_path, 10, 1)

    def inherit(number, **variables):
        return inherit_session(variables, processes=tmp_path, process_id=number)

    assert inherit(9, A="b") == {"A": "b", "SSH_CONNECTION": "192.0.2.7 50022 10.9.3.1 22"}
    assert inherit(9, SSH_CONNECTION="its own") == {"SSH_CONNECTION": "its own"}
    assert inherit(10) == {}
    assert inherit(4000) == {}


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
    nowhere = {name: tmp_path / "no" for name in ("routes", "routes_v6", "resolver")}
    assert find_management_paths({}, **nowhere) == ()
    assert find(tmp_path, routes_v6="0 00\nnot a route\n") == ()
