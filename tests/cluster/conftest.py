"""What tests of Knative services share; the cluster's own fixtures are in `support.cluster_fixtures`."""

import pytest

from support.knative_service import Services
from support.machine_image import add_machine


@pytest.fixture
def services(make_knative, namespace, machine_image):
    """Knative services in a namespace of the test's own, whose pods say who they are."""
    return Services(make_knative(namespace, complete=add_machine), machine_image)
