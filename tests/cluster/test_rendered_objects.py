"""What is rendered is what an API server takes: everything is sent to it, and nothing is made there."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings

from skerry.platforms.knative.rendering import render as render_knative
from skerry.platforms.kubernetes.api.cluster import Cluster
from skerry.platforms.kubernetes.rendering import adapt
from skerry.platforms.kubernetes.rendering import render as render_kubernetes
from skerry.spec import KNATIVE, KUBERNETES, ClusterSettings
from support.spec_strategies import apps

GOLDEN = Path(__file__).parents[1] / "unit" / "platforms" / "golden"
RENDERERS = {KNATIVE: render_knative, KUBERNETES: render_kubernetes}


@pytest.fixture(scope="module")
def taker(cluster, shared_namespace):
    """A function that has the API server check objects."""
    client = Cluster(cluster.kubeconfig, namespace=shared_namespace)
    yield lambda objects: client.apply(adapt(objects, client.kinds.has), dry_run=True)
    client.close()


@pytest.mark.parametrize("platform", [KNATIVE, KUBERNETES])
def test_an_api_server_takes_the_objects_of_every_example(taker, shared_namespace, platform):
    """What was reviewed is sent; that an example renders to just that, another test shows without a cluster."""
    files = sorted((GOLDEN / platform).glob("*.yaml"))
    assert len(files) >= 13
    for file in files:
        objects = list(yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader))
        for made in objects:
            made["metadata"]["namespace"] = shared_namespace
        assert len(taker(objects)) == len(objects)


@pytest.mark.parametrize("platform", [KNATIVE, KUBERNETES])
def test_an_api_server_takes_the_objects_of_any_app(taker, shared_namespace, platform):
    for app in generated(platform):
        objects = RENDERERS[platform](app, ClusterSettings(namespace=shared_namespace))
        assert len(taker(objects)) == len(objects)


def generated(platform):
    """Return 100 apps, made before anything is sent: a server is too slow a judge for shrinking what it refuses."""
    found = []
    quick = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}

    @settings(max_examples=100, phases=[Phase.generate], **quick)
    @given(app=apps(platform))
    def collect(app):
        found.append(app)

    collect()
    return found
