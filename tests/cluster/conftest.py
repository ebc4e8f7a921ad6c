"""What tests of Knative services share; the cluster's own fixtures are in `support.cluster_fixtures`."""

import os
from pathlib import Path

import pytest

from support.cluster_nodes import have_nodes_alone, share_nodes
from support.knative_service import Services
from support.machine_image import add_machine
from support.shared_cluster import state_folder

FOLDER = f"{Path(__file__).parent}{os.sep}"
TURN_S = 600  # a test may have to wait until another process has had the nodes alone


def pytest_collection_modifyitems(items):
    for item in items:
        if str(item.path).startswith(FOLDER) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TURN_S))


@pytest.fixture
def services(make_knative, namespace, machine_image):
    """Knative services in a namespace of the test's own, whose pods say who they are."""
    return Services(make_knative(namespace, complete=add_machine), machine_image)


@pytest.fixture(autouse=True)
def nodes(request):
    """The nodes: shared with the tests of other processes, or had alone by one that is marked ``loses_node``."""
    if "cluster" not in request.fixturenames or request.getfixturevalue("cluster").is_real:
        yield
        return
    use = have_nodes_alone if request.node.get_closest_marker("loses_node") else share_nodes
    with use(state_folder()):
        yield
