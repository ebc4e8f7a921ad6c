"""What tests of Knative services share; the cluster's own fixtures are in `support.cluster_fixtures`."""

import pytest

from support.cluster_nodes import have_nodes_alone, share_nodes
from support.knative_service import Services
from support.machine_image import add_machine
from support.shared_cluster import state_folder


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
