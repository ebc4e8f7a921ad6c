"""Work over a whole cluster: the two nodes as two sites, with files through a store of objects."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import skerry
from skerry.learn.search import Folds, load_digits, over, search
from support.cluster_fixtures import drop_namespace, make_namespace
from support.cluster_sites import CREDENTIALS, SharedObjects, add_credentials, deploy_at, run_from

APP = Path(__file__).parent / "apps" / "searching.py"
GRID = {"alpha": [0.01, 0.1, 1.0, 10.0]}
FOLDS = Folds(splits=4)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def objects():
    served = SharedObjects()
    yield served.url()
    served.server.close()


@pytest.fixture
def credentials(monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def namespaces(cluster):
    """A namespace for each site."""
    made = {name: make_namespace(cluster.api) for name in ("near", "far")}
    for namespace in made.values():
        add_credentials(cluster.api, namespace)
    yield made
    for namespace in made.values():
        drop_namespace(cluster.api, namespace)


@pytest.fixture
def sites(namespaces, make_knative, machine_image, objects, tmp_path):
    """The app on the near node and on the far one."""
    names = {"near": "node1", "far": "node2"}
    places = {name: make_knative(namespaces[name], complete=run_from(APP)) for name in names}

    def deploy(name):
        return deploy_at(places[name], machine_image, APP, tmp_path, objects=objects, node=names[name], name=name)

    with ThreadPoolExecutor() as threads:
        deployed = {name: threads.submit(deploy, name) for name in names}
    yield {name: future.result() for name, future in deployed.items()}
    for future in deployed.values():
        future.result().close()


def test_a_search_over_both_nodes_has_the_serial_answer_and_sends_its_data_once(sites, credentials, tmp_path, cluster):
    from cluster.apps.searching import evaluate

    data = load_digits(root=tmp_path / "data")
    alone = search(data, "mnb", GRID, folds=FOLDS)
    with skerry.count_transfer() as transfer:
        scattered = search(data, "mnb", GRID, folds=FOLDS, map=over(evaluate, sites=list(sites.values()), in_flight=2))

    for name, values in alone.cv_results.items():
        if "time" not in name:
            assert np.array_equal(np.asarray(values), np.asarray(scattered.cv_results[name])), name
    assert scattered.best_parameters == alone.best_parameters
    sent = [content.digest for content in transfer.contents]
    assert sent
    assert len(sent) == len(set(sent))
    for name, node in (("near", "node1"), ("far", "node2")):
        namespace = sites[name].cluster.namespace
        assert any("evaluated" in line.text for line in sites[name].log_lines("evaluate"))
        assert {pod["spec"]["nodeName"] for pod in cluster.api.list("pods", namespace)} == {node}
