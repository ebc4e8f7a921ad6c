"""Testbeds for tests, and what a machine must not have any more when they are gone."""

import os
import subprocess
import tomllib
from pathlib import Path

from skerry.testbed.links import detect_means
from skerry.testbed.links.namespace import list_namespaces
from skerry.testbed.topology import parse_topology
from skerry.testbed.topology.cleanup import find_processes
from skerry.testbed.topology.resources import group_folders

TOPOLOGY = """
name = "small"
seed = 3

[nodes.me]
role = "client"
tier = "device"

[nodes.switch]
role = "router"

[nodes.edge]
tier = "edge"
labels = { zone = "north" }
cores = 0.5
memory = "2GiB"

[[links]]
a = "me"
b = "switch"
delay_ms = 5

[[links]]
a = "switch"
b = "edge"
delay_ms = 10
"""


def small_topology():
    return parse_topology(tomllib.loads(TOPOLOGY), where="small.toml", folder=Path())


def refusal():
    """Return why this machine cannot have testbeds, or None."""
    if os.geteuid() != 0:
        return "testbeds need root"
    refusals = {found.name: found.refusal for found in detect_means()}
    if refusals["netem"] is not None and refusals["tun"] is not None:
        return f"no links between namespaces here: {refusals['tun']}"
    return None


def traces(mark):
    """Return all that a testbed still has on this machine."""
    found = [f"namespace {name}" for name in list_namespaces(mark)]
    found += [f"process {pid}" for pid in find_processes(mark)]
    found += [str(folder) for folder in group_folders(mark) if folder.exists()]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    found += [line for line in links.splitlines() if mark in line]
    mounts = Path("/proc/self/mounts").read_text()
    found += [line for line in mounts.splitlines() if mark in line]
    # By the mark, which is this testbed's own: those of tests that run beside this one come and go.
    places = [Path("/etc/netns"), Path("/tmp")]
    return found + [str(path) for place in places if place.exists() for path in place.glob(f"*{mark}*")]
