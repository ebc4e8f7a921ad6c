"""Testbeds: a small file lists nodes and links, and a machine stands for all of them."""

from skerry.testbed.topology.reader import parse_topology, read_topology, shipped_topologies
from skerry.testbed.topology.testbed import Testbed
from skerry.testbed.topology.topology import Node, PlannedLink, Topology

__all__ = ["Node", "PlannedLink", "Testbed", "Topology", "parse_topology", "read_topology", "shipped_topologies"]
