"""The experiment of paper 001 with its cloud behind a real link: two nodes of a cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.cluster_fixtures import drop_namespace, make_namespace
from support.cluster_sites import run_module

ROOT = Path(__file__).resolve().parents[2]
APP = "skerry.testbed.experiments.training_6g.app:app"
PLACES = {"near": ("node1", ("edge-1", "edge-2")), "far": ("node2", ("cloud",))}
SITE = """
[sites.{site}]
platform = "knative"
kubeconfig = "{kubeconfig}"
namespace = "{namespace}"
address = "{ingress}"
labels = {{"kubernetes.io/hostname" = "{node}"}}
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def project(cluster, make_knative, machine_image, tmp_path):
    """A folder whose settings name the experiment's sites: the edges on the near node, the cloud on the far one."""
    written = ["[platform.knative]\ncpu_request_ratio = 0.05\nzero_initial_scale = true\n"]
    namespaces = []
    for node, sites in PLACES.values():
        namespaces.append(make_namespace(cluster.api))
        ingress = make_knative(namespaces[-1], complete=run_module(APP)).ingress
        known = {"kubeconfig": cluster.kubeconfig, "namespace": namespaces[-1], "ingress": ingress, "node": node}
        written += [SITE.format(site=site, **known) for site in sites]
    (tmp_path / "skerry.toml").write_text("".join(written))
    yield tmp_path
    for namespace in namespaces:
        drop_namespace(cluster.api, namespace)


def run_experiment(folder, *words):
    command = "import sys; from skerry.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", command, "experiment", "run", *words, "--platform", "knative"],
        cwd=folder,
        env={**os.environ, "SKERRY_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT / "src"), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_training_is_compared_between_the_near_node_and_the_far_one(project, machine_image):
    words = ["--quick", "--repeats", "1", "--set", "count=60", "--arm", "edge-split", "--arm", "cloud", "--json"]
    ended = run_experiment(project, "6g-training", *words, "--image", machine_image)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    found = json.loads(ended.stdout)

    assert found["environment"]["failed_trials"] == 0
    assert {name: len(arm["test_accuracy"]["values"]) for name, arm in found["arms"].items()} == {
        "edge-split": 1,
        "cloud": 1,
    }
    network = found["environment"]["network"]
    assert "knative on real clusters" in network["means"]
    # The link delays each direction by 15 ms; that the way is not shorter than that can be seen on any machine.
    assert network["sites"]["cloud"]["round_trip_s"] > 0.029
