import json
import tomllib

import pytest

from skerry.errors import SpecError
from skerry.testbed.topology import parse_topology, read_topology, shipped_topologies
from skerry.testbed.topology.plain import topology_to_dict

GOOD = """
name = "home"

[nodes.me]
role = "client"

[nodes.edge]
cores = 1
memory = "1GiB"
labels = { zone = "north" }

[[links]]
a = "me"
b = "edge"
delay_ms = 5
loss_ratio = 0.01
repeat_s = 60
schedule = [{ at_s = 30, delay_ms = 50 }]

[links.backward]
rate_mbps = 2
"""


def parse(text, folder):
    return parse_topology(tomllib.loads(text), where="home.toml", folder=folder)


def test_a_file_says_nodes_and_links(tmp_path):
    topology = parse(GOOD, tmp_path)

    assert [node.name for node in topology.sites] == ["edge"]
    assert [node.name for node in topology.clients] == ["me"]
    assert topology.nodes["edge"].memory_bytes == 2**30
    link = topology.links[0]
    assert link.name == "me--edge"
    assert link.conditions.forward.rate_mbps is None
    assert link.conditions.backward.rate_mbps == 2
    assert link.conditions.backward.delay_ms == 5
    assert link.schedules["forward"].at(40).delay_ms == 50
    assert link.schedules["backward"].at(40).rate_mbps == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "home"', "", "home.toml: name is missing"),
        ('name = "home"', 'name = "home"\ntitle = "x"', "title is not known"),
        ("cores = 1", "core = 1", "nodes.edge.core is not known"),
        ("cores = 1", "cores = 0", "nodes.edge: cores is 0"),
        ("cores = 1", 'tier = "fog"', "nodes.edge: tier is 'fog'"),
        ('memory = "1GiB"', "memory = 5", "nodes.edge: memory"),
        ("[nodes.edge]", "[nodes.Edge]", "nodes.Edge: 'Edge' is no name"),
        ('role = "client"', 'role = "site"', "no node is a client"),
        ("delay_ms = 5", "dealy_ms = 5", "links\\[0\\].dealy_ms is not known"),
        ("delay_ms = 5", "delay_ms = -5", "links\\[0\\].*delay_ms is -5"),
        ("rate_mbps = 2", "speed = 2", "links\\[0\\].backward.speed is not known"),
        ('b = "edge"', 'b = "cloud"', "links\\[0\\].b: there is no node 'cloud'"),
        ('b = "edge"', 'b = "me"', "both ends"),
        ("at_s = 30, delay_ms = 50", "at_s = 30, dely_ms = 50", "at 30 s: .*dely_ms"),
        ("repeat_s = 60", "repeat_s = 20", "repeat_s"),
        ("repeat_s = 60", 'trace = "x.csv"', "both schedule and trace"),
        ("[nodes.edge]", "[nodes.alone]\n[nodes.edge]", "no links lead from 'me' to 'alone'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old, new, said, tmp_path):
    assert old in GOOD
    with pytest.raises(SpecError, match=said):
        parse(GOOD.replace(old, new), tmp_path)


def test_a_pair_is_linked_once(tmp_path):
    with pytest.raises(SpecError, match="linked already"):
        parse(GOOD + '\n[[links]]\na = "edge"\nb = "me"\n', tmp_path)


def test_a_trace_is_found_beside_the_file(tmp_path):
    (tmp_path / "walk.csv").write_text("at_s,delay_ms\n0,10\n5,20\n")
    text = GOOD.replace("schedule = [{ at_s = 30, delay_ms = 50 }]", 'trace = "walk.csv"')
    (tmp_path / "home.toml").write_text(text)

    assert read_topology(tmp_path / "home.toml").links[0].schedules["forward"].at(6).delay_ms == 20


def test_a_topology_survives_being_plain_data(tmp_path):
    topology = parse(GOOD, tmp_path)

    plain = json.loads(json.dumps(topology_to_dict(topology)))

    assert parse_topology(plain, where="state", folder=tmp_path) == topology


@pytest.mark.parametrize("name", shipped_topologies())
def test_what_comes_with_skerry_can_be_read(name, tmp_path):
    topology = read_topology(name)

    assert topology.sites
    assert topology.description
    assert parse_topology(topology_to_dict(topology), where="state", folder=tmp_path) == topology


def test_the_links_of_paper_001_are_those_of_its_table():
    links = {link.name: link.conditions.forward for link in read_topology("6g-edge").links}

    for name in ("base-station--edge-1", "base-station--edge-2"):
        assert (links[name].delay_ms, links[name].jitter_ms, links[name].loss_ratio) == (1.25, 0.25, 0.0002)
    cloud = links["base-station--cloud"]
    assert (cloud.delay_ms, cloud.jitter_ms, cloud.loss_ratio) == (15, 3, 0.0024)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SpecError, match="6g-edge"):
        read_topology("nowhere.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(SpecError, match=r"bad\.toml is no TOML"):
        read_topology(tmp_path / "bad.toml")
