import tomllib

import pytest

from skerry.errors import SpecError
from skerry.testbed.topology import parse_topology
from skerry.testbed.topology.zoo import Network, Place, convert_network, distance_km, propagation_ms
from skerry.testbed.topology.zoo_text import read_network, write_topology

NEW_YORK = Place(label="New York", latitude=40.71427, longitude=-74.00597)
LOS_ANGELES = Place(label="Los Angeles", latitude=34.05223, longitude=-118.24368)
CHICAGO = Place(label="Chicago", latitude=41.85003, longitude=-87.65005)
NOWHERE = Place(label="Zürich / 2")
NETWORK = Network(
    name="Some Net",
    places={"0": NEW_YORK, "1": CHICAGO, "2": LOS_ANGELES, "3": NOWHERE, "4": Place(label="Alone")},
    edges=(("0", "1"), ("1", "2"), ("1", "2"), ("1", "3"), ("3", "3")),
)
GRAPHML = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="label" attr.type="string" for="node" id="d1" />
  <key attr.name="Longitude" attr.type="double" for="node" id="d2" />
  <key attr.name="Latitude" attr.type="double" for="node" id="d3" />
  <key attr.name="Network" attr.type="string" for="graph" id="d4" />
  <graph edgedefault="undirected">
    <data key="d4">Two</data>
    <node id="0"><data key="d1">New York</data><data key="d2">-74.0</data><data key="d3">40.7</data></node>
    <node id="1"><data key="d1">Chicago</data></node>
    <edge source="0" target="1"/>
  </graph>
</graphml>
"""
GML = """graph [
  Network "Two"
  node [
    id 0
    label "New York"
    Longitude -74.0
    Latitude 40.7
  ]
  node [
    id 1
    label "Chicago"
  ]
  edge [
    source 0
    target 1
    LinkLabel "a [thick] one"
  ]
]
"""


def test_a_distance_is_that_of_the_great_circle():
    assert distance_km(NEW_YORK, LOS_ANGELES) == pytest.approx(3936, rel=0.01)
    assert distance_km(NEW_YORK, NOWHERE) is None


def test_light_takes_its_time_through_fibre_that_is_longer_than_the_straight_way():
    assert propagation_ms(1000) == 7.5
    assert propagation_ms(0) == 0.05


def test_a_network_becomes_a_topology():
    topology = convert_network(NETWORK, sites=2)

    assert topology.name == "some-net"
    assert {name: node.role for name, node in topology.nodes.items()} == {
        "new-york": "site",
        "chicago": "client",
        "los-angeles": "site",
        "zurich-2": "router",
    }
    assert topology.nodes["los-angeles"].tier == "cloud"
    assert topology.nodes["new-york"].tier == "edge"
    assert len(topology.links) == 3
    delays = {link.name: link.conditions.forward.delay_ms for link in topology.links}
    # The link to a place without coordinates has the median of the others' delays.
    assert delays["chicago--zurich-2"] == pytest.approx((delays["new-york--chicago"] + 21.02) / 2, abs=0.3)


def test_calls_come_from_the_place_that_was_asked_for():
    assert [node.name for node in convert_network(NETWORK, client="New York").clients] == ["new-york"]
    with pytest.raises(SpecError, match="no place 'Berlin'"):
        convert_network(NETWORK, client="Berlin")
    with pytest.raises(SpecError, match="too few"):
        convert_network(NETWORK, sites=4)


def test_what_is_written_is_read_as_the_same(tmp_path):
    topology = convert_network(NETWORK)

    assert parse_topology(tomllib.loads(write_topology(topology)), where="x", folder=tmp_path) == topology


@pytest.mark.parametrize(("name", "content"), [("two.graphml", GRAPHML), ("two.gml", GML)])
def test_both_formats_are_read(name, content, tmp_path):
    (tmp_path / name).write_text(content)

    network = read_network(tmp_path / name)

    assert network.name == "Two"
    assert network.places == {
        "0": Place(label="New York", latitude=40.7, longitude=-74.0),
        "1": Place(label="Chicago"),
    }
    assert network.edges == (("0", "1"),)


@pytest.mark.parametrize("content", ["", "<a>", "graph [", "graph [ node [ label 3 ] ]", '<x xmlns="y"/>'])
def test_a_file_that_is_none_is_named(content, tmp_path):
    (tmp_path / "net.gml").write_text(content)

    with pytest.raises(SpecError, match=r"net\.gml|no links"):
        convert_network(read_network(tmp_path / "net.gml"))
