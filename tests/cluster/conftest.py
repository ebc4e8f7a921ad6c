"""What tests of Knative services share; the cluster's own fixtures are in `support.cluster_fixtures`."""

import pytest

from support.knative_service import Services


@pytest.fixture
def services(knative, machine_image):
    """Knative services in a namespace of the test's own, whose pods say who they are."""
    return Services(knative, machine_image)
