"""A testbed that is up: packets, engines, limits, changes."""

import json
import socket
import sys
import time

import pytest

from skerry.errors import ConfigError, UnauthorizedError
from skerry.platforms.engine.site import SitePlatform
from skerry.spec import Site
from skerry.testbed.links.namespace import kernel_value
from skerry.testbed.topology import Testbed


def round_trip_ms(testbed):
    """Return what a round trip from the client to the site takes at best, without any code of an engine."""
    node = testbed.describe()["nodes"]["edge"]
    with testbed.enter("edge"):
        server = socket.create_server((node["address"], 0))
    with server, testbed.enter("me"):
        near = socket.create_connection(server.getsockname(), timeout=30)
        far, caller = server.accept()
    with near, far:
        times_s = []
        for _ in range(5):
            began_s = time.monotonic()
            near.sendall(b"x")
            far.sendall(far.recv(1))
            near.recv(1)
            times_s.append(time.monotonic() - began_s)
    assert caller[0] == testbed.describe()["nodes"]["me"]["address"]
    return min(times_s) * 1000


def test_packets_take_the_delay_of_every_link_on_their_way(small):
    assert round_trip_ms(small) == pytest.approx(30, rel=0.2)


def test_a_site_answers_over_https_with_its_own_token(small):
    site = small.sites["edge"]
    assert (site.tier, site.labels) == ("edge", {"zone": "north"})

    with small.enter("me"):
        platform = SitePlatform(site)
        assert platform.engine()["home"].endswith("/sites/edge")
        stranger = Site(name="edge", address=site.address, token="wrong", certificate=site.certificate)
        with pytest.raises(UnauthorizedError):
            SitePlatform(stranger).engine()
    platform.close()


def test_a_command_runs_inside_a_node(small):
    code = "import socket; print(sorted(name for _, name in socket.if_nameindex()))"

    done = small.run("me", [sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.strip() == "['lo', 'to-switch']"


def test_what_runs_in_a_node_keeps_its_limits(small):
    resources = small.describe()["nodes"]["edge"]
    if not resources["groups"]:
        pytest.skip(f"no control groups here: {resources['cores_by']}")
    code = "print(open('/proc/self/cgroup').read())"

    groups = small.run("edge", [sys.executable, "-c", code], capture_output=True, text=True).stdout

    assert f"{small.describe()['mark']}/edge" in groups
    assert "0.5 of" in resources["cores_by"]
    code = "import time; e = time.time() + 1\nwhile time.time() < e: pass\nprint(time.process_time())"
    used_s = float(small.run("edge", [sys.executable, "-c", code], capture_output=True, text=True).stdout)
    assert used_s < 0.75


def test_the_congestion_control_is_pinned_and_recorded(small):
    described = small.describe()

    for node in described["nodes"].values():
        assert kernel_value(node["namespace"], "net.ipv4.tcp_congestion_control") == described["congestion_control"]


def test_a_link_is_changed_while_it_is_up(small):
    link = small.link("edge", "switch")

    link.change_both({"delay_ms": 40})
    slow_ms = round_trip_ms(small)
    link.change_both({"delay_ms": 10})

    assert slow_ms >= 85
    with pytest.raises(ConfigError, match="me--switch"):
        small.link("edge", "me")


def test_what_a_testbed_is_can_be_stored(small):
    described = json.loads(json.dumps(small.describe()))

    assert described["means"] in ("netem", "tun")
    assert [link["name"] for link in described["links"]] == ["me--switch", "switch--edge"]
    assert all(link["report"]["means"] == described["means"] for link in described["links"])


def test_another_process_finds_the_testbed_by_its_folder(small):
    found = Testbed.attach(small.folder)

    assert found.describe()["mark"] == small.describe()["mark"]
    assert found.sites == small.sites
    assert found.topology == small.topology


def test_a_folder_holds_one_testbed(small):
    with pytest.raises(ConfigError, match="'small' is up"):
        Testbed(small.topology, small.folder, self_test=None).up()


def test_a_folder_that_is_too_deep_for_sockets_is_refused_before_anything_is_made(small, tmp_path):
    folder = tmp_path / ("deep" * 20)
    with pytest.raises(ConfigError, match=r"too deep.*site '.*--folder"):
        Testbed(small.topology, folder, self_test=None).up()
    assert not folder.exists()


def test_nodes_that_are_not_there_are_named(small):
    with pytest.raises(ConfigError, match="no node 'cloud'"):
        small.command("cloud", ["true"])
