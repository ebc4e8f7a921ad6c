"""Federated learning with sites that are clusters: the coordinator holds each exchange, for nobody keeps jobs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.cluster_fixtures import drop_namespace, make_namespace
from support.cluster_sites import run_from

APP = Path(__file__).parent / "apps" / "federating.py"
ROOT = Path(__file__).resolve().parents[2]
NODES = {"near": "node1", "far": "node2"}
SITE = """
[sites.{name}]
platform = "knative"
kubeconfig = "{kubeconfig}"
namespace = "{namespace}"
address = "{ingress}"
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def project(cluster, make_knative, machine_image, tmp_path):
    """A folder with the client's app, whose settings name both nodes as sites; return it with the image."""
    (tmp_path / APP.name).write_text(APP.read_text())
    written = ["[platform.knative]\ncpu_request_ratio = 0.05\nzero_initial_scale = true\n"]
    namespaces = []
    for name, node in NODES.items():
        namespaces.append(make_namespace(cluster.api))
        ingress = make_knative(namespaces[-1], complete=run_from(APP, node=node)).ingress
        written.append(SITE.format(name=name, kubeconfig=cluster.kubeconfig, namespace=namespaces[-1], ingress=ingress))
    (tmp_path / "skerry.toml").write_text("".join(written))
    yield tmp_path
    for namespace in namespaces:
        drop_namespace(cluster.api, namespace)


def federate(folder, image, *words):
    sites = [word for name in NODES for word in ("--site", name)]
    command = "import sys; from skerry.cli.main import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", command, "federate", "run", APP.name, *sites, "--image", image, *words],
        cwd=folder,
        env={**os.environ, "SKERRY_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT / "src"), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return json.loads(ended.stdout)


def test_two_nodes_train_a_model_in_rounds(project, machine_image):
    found = federate(project, machine_image, "--rounds", "3", "--coding", "int8", "--json")

    assert [len(one["replies"]) for one in found["rounds"]] == [2, 2, 2]
    assert found["rounds"][-1]["metrics"]["accuracy"] > 0.95
