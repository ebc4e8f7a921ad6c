"""An experiment over relays: without root, every call takes the way's delay, and the report says what stood for it."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from skerry.errors import ConfigError
from skerry.testbed.experiments import Settings, load_experiment, run_experiment
from skerry.testbed.experiments.cluster_place import ClusterChoice
from skerry.testbed.experiments.places import choose_place
from skerry.testbed.experiments.relay_place import RelayPlace
from skerry.testbed.links import SelfTest
from skerry.testbed.topology import read_topology
from support.engine_process import wait_until
from support.runtime_process import is_alive
from support.small_experiment import write_small_experiment

NETWORK = """
name = "far"

[nodes.home]
role = "client"

[nodes.edge-1]

[[links]]
a = "home"
b = "edge-1"
delay_ms = 60
jitter_ms = 10
loss_ratio = 0.01
"""

HOLD = """
import sys
from pathlib import Path

from skerry.testbed.experiments import load_experiment
from skerry.testbed.experiments.places import choose_place

experiment, _ = load_experiment(sys.argv[1])
with choose_place(experiment, Path(sys.argv[3]), topology=sys.argv[2], relays=True, self_test=False) as place:
    print(*place.roots(), *(relay.pid for relay in place._relays.values()), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "home"))


@pytest.fixture
def small(tmp_path):
    return load_experiment(str(write_small_experiment(tmp_path)))


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "far.toml"
    path.write_text(NETWORK)
    return str(path)


def test_calls_take_the_way_there_and_back(small, network, tmp_path):
    experiment, target = small
    place = choose_place(experiment, tmp_path / "run", topology=network, relays=True, self_test=False)
    results = run_experiment(
        experiment, target, tmp_path / "run", place, Settings(repeats=1, arms=["first"]), place_name=place.name
    )

    assert not results.failures
    assert results.trials[0].values["response_time_s"] >= 0.05
    assert results.manifest.place == "far, by relays"
    said = results.sessions[-1]["place"]
    assert said["means"] == "relay (approximate)"
    assert "loss_ratio" in said["left_out"]
    assert "delay_ms 60" in said["links"]["home--edge-1"]["set, forward"]


def test_ways_are_measured_first(small, network, tmp_path):
    experiment, _ = small
    topology = read_topology(network)
    # Few draws of a random delay leave room for a machine that is busy with other tests.
    plan = SelfTest(packets=200, draws=20, loaded=False, rate_s=0)
    with RelayPlace(topology, tmp_path / "relays", experiment.sites, experiment.app, self_test=plan) as place:
        link = place.describe()["links"]["home--edge-1"]
        before = place.wire_bytes()
        assert place.sites["edge-1"].connect().ready()
        assert place.wire_bytes() > before

    assert link["self-test"] == "passed"
    assert json.dumps(link)


@pytest.mark.parametrize(
    "other",
    [{"without_links": True}, {"clusters": ClusterChoice(platform="kubernetes", project=Path())}, {}],
    ids=["without links", "on clusters", "without a network"],
)
def test_relays_stand_for_links_and_nothing_else(small, network, tmp_path, other):
    experiment, _ = small
    topology = network if other else None
    with pytest.raises(ConfigError, match=r"--relays stand for links|give one of them"):
        choose_place(experiment, tmp_path, topology=topology, relays=True, **other)


def test_a_site_that_the_network_lacks_is_named(small, tmp_path):
    experiment, _ = small
    path = tmp_path / "other.toml"
    path.write_text(NETWORK.replace("edge-1", "edge-9"))
    with pytest.raises(ConfigError, match="no site 'edge-1'"):
        choose_place(experiment, tmp_path, topology=str(path), relays=True)


def ask(site, *, timeout_s=60):
    """Call the site's function over its relay."""
    with urlopen(f"{site.address}/function/double", data=b"2", timeout=timeout_s) as answer:
        return answer.read()


def test_what_trials_do_to_sites_and_links_is_done_to_engines_and_relays(small, network, tmp_path):
    experiment, _ = small
    with choose_place(experiment, tmp_path, topology=network, relays=True, self_test=False) as place:
        (site,), (link,) = place.sites.values(), place._relays.values()
        place.disturb("cut", {"site": "edge-1", "for_s": 600})
        with pytest.raises(TimeoutError):
            ask(site, timeout_s=0.5)
        place.disturb("restore", {})
        assert ask(site) == b"4"
        place.disturb("slow", {"site": "edge-1", "factor": 3})
        assert link.report().conditions["backward"]["delay_ms"] == 180
        place.disturb("kill", {"site": "edge-1"})
        with pytest.raises(OSError, match=r"closed|reset|Broken pipe"):
            ask(site)
        place.disturb("restore", {})
        assert (ask(site), place.sites["edge-1"]) == (b"4", site)
        assert link.report().conditions["backward"]["delay_ms"] == 60
        for what, how, said in (("cut", {"site": "edge-7"}, "for_s"), ("kill", {"site": "edge-7"}, "no site 'edge-7'")):
            with pytest.raises(ConfigError, match=said):
                place.disturb(what, how)
        with pytest.raises(ConfigError, match="does not know how to paint"):
            place.disturb("paint", {})


def test_nothing_of_a_run_that_is_killed_stays_behind(network, tmp_path):
    words = [str(write_small_experiment(tmp_path)), network, str(tmp_path / "run")]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        pids = [int(word) for word in run.stdout.readline().split()]
        assert all(map(is_alive, pids))
        run.kill()

    assert len(pids) == 2
    wait_until(lambda: not any(map(is_alive, pids)), within_s=60)
