"""Fixtures of tests that need a Kubernetes cluster: the cluster, a namespace for each test, and Knative in it.

The cluster is the one of ``../shared/cluster``, with the stand-in for Knative's controllers; or, where
``SKERRY_TEST_KUBECONFIG`` names one, an actual cluster with an actual Knative. Then ``SKERRY_TEST_INGRESS`` is the
address of its ingress, and ``SKERRY_TEST_IMAGE`` an image with Skerry and NumPy that it can pull.
"""

import contextlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import shared_cluster
from support.engine_process import wait_until
from support.knative_stand_in.stand_in import KnativeStandIn
from support.kube_api import ApiError, KubeApi
from support.machine_image import push_machine_image

REAL = "SKERRY_TEST_KUBECONFIG"
REAL_INGRESS = "SKERRY_TEST_INGRESS"
REAL_IMAGE = "SKERRY_TEST_IMAGE"
LEAVING = pytest.StashKey[contextlib.ExitStack]()
IS_AFTERWARDS = pytest.StashKey[bool]()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCluster:
    """A cluster for tests.

    Args:
        kubeconfig: Path of the file.
        api: A client of it that is not the product's.
        registry: Address of its registry, None where it is not known.
        is_real: Whether it is somebody's cluster, with Knative installed.
    """

    __test__ = False
    kubeconfig: Path
    api: KubeApi
    registry: str | None
    is_real: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Knative:
    """Knative in one namespace.

    Args:
        cluster: The cluster.
        namespace: The test's own.
        ingress: Address that is to be called with the ``Host`` of a route.
        stand_in: What does Knative's work, None with an actual one.
    """

    cluster: TestCluster
    namespace: str
    ingress: str | None
    stand_in: KnativeStandIn | None

    @property
    def api(self):
        return self.cluster.api


def pytest_collection_finish(session):
    """Note the tests after the last one that needs the cluster: a process that runs one of them needs it no more.

    The processes are given the files in this order.
    """
    for item in reversed(session.items):
        if "cluster" in item.fixturenames or item.get_closest_marker("pods") is not None:
            return
        item.stash[IS_AFTERWARDS] = True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Leave the cluster as soon as may be: as long as it is up, it takes a fifth of a processor."""
    if IS_AFTERWARDS in item.stash and LEAVING in item.config.stash:
        item.config.stash[LEAVING].close()


@pytest.fixture(scope="session")
def leaving(request):
    """What is done when this process needs the cluster no more: the last first."""
    with contextlib.ExitStack() as stack:
        request.config.stash[LEAVING] = stack
        yield stack


@pytest.fixture(scope="session")
def cluster(leaving):
    """A running cluster, which all tests of all processes share."""
    if os.environ.get(REAL):
        kubeconfig = Path(os.environ[REAL])
        api = leaving.enter_context(contextlib.closing(KubeApi(kubeconfig)))
        return TestCluster(kubeconfig=kubeconfig, api=api, registry=None, is_real=True)
    refusal = shared_cluster.refusal()
    if refusal is not None:
        pytest.skip(refusal)
    program = shared_cluster.ClusterProgram([shared_cluster.program()], shared_cluster.state_folder())
    found = leaving.enter_context(shared_cluster.use(program))
    api = leaving.enter_context(contextlib.closing(KubeApi(found["kubeconfig"])))
    return TestCluster(kubeconfig=Path(found["kubeconfig"]), api=api, registry=found["registry"], is_real=False)


@pytest.fixture(scope="session")
def machine_image(cluster):
    """Name of an image whose pods see this machine's Python, see `support.machine_image`."""
    if cluster.is_real:
        pytest.skip("the nodes of an actual cluster do not share this machine's files")
    return push_machine_image(cluster.registry)


@pytest.fixture(scope="session")
def real_image():
    """Name of an image that an actual cluster can pull, with Skerry and NumPy."""
    if not os.environ.get(REAL_IMAGE):
        pytest.skip(f"{REAL_IMAGE} names no image with Skerry and NumPy that the cluster can pull")
    return os.environ[REAL_IMAGE]


@pytest.fixture(scope="session")
def shared_namespace(cluster, leaving):
    """A namespace for what several tests use."""
    name = make_namespace(cluster.api)
    leaving.callback(drop_namespace, cluster.api, name)
    return name


def make_namespace(api):
    """Make a namespace in which pods can be started; return its name."""
    name = f"skerry-test-{uuid.uuid4().hex[:8]}"
    api.create("namespaces", None, {"metadata": {"name": name, "labels": {"skerry.dev/test": "true"}}})
    wait_until(lambda: _has_token(api, name), within_s=60, what="the namespace's service account")
    return name


def _has_token(api, namespace):
    """Whether pods can be made: before Kubernetes 1.24 each account first gets a Secret with its token."""
    account = api.get("serviceaccounts", namespace, "default")
    other = api.get("serviceaccounts", "default", "default") or {}
    return account is not None and bool(account.get("secrets")) >= bool(other.get("secrets"))


def drop_namespace(api, name):
    """Delete a namespace with all that is in it, without waiting for the end."""
    try:
        api.delete("namespaces", None, name)  # from now on nothing makes pods in it, in place of those that go
        for pod in api.list("pods", name):
            api.delete("pods", name, pod["metadata"]["name"], gracePeriodSeconds=0)
    except ApiError as error:  # the test may have deleted it
        if error.status not in (404, 409):
            raise


@pytest.fixture
def namespace(cluster):
    """A namespace of the test's own."""
    name = make_namespace(cluster.api)
    yield name
    drop_namespace(cluster.api, name)


@pytest.fixture
def make_knative(cluster):
    """Make namespaces with Knative at work in them."""
    made = []

    def make(namespace, **options):
        if cluster.is_real:
            return Knative(cluster=cluster, namespace=namespace, ingress=os.environ.get(REAL_INGRESS), stand_in=None)
        stand_in = KnativeStandIn(cluster.api, namespace, **options).start()
        made.append(stand_in)
        return Knative(cluster=cluster, namespace=namespace, ingress=stand_in.address, stand_in=stand_in)

    yield make
    for stand_in in made:
        stand_in.stop()
        assert stand_in.errors == [], "\n".join(stand_in.errors)


@pytest.fixture
def knative(make_knative, namespace):
    """Knative in a namespace of the test's own."""
    return make_knative(namespace)
