"""Which pods and ports are meant by an object."""

import pytest

from skerry.errors import PlatformError
from skerry.platforms.kubernetes.api.objects import Reference, is_ours
from skerry.platforms.kubernetes.pods.pods import Place, find_places, selector_of

SERVICE = Reference(api_version="v1", kind="Service", name="greet")
DEPLOYMENT = Reference(api_version="apps/v1", kind="Deployment", name="greet")


class Objects:
    """Objects that a cluster could have, and the selectors that were asked for."""

    def __init__(self, value=None, pods=()):
        self.value, self.pods, self.asked = value, list(pods), []

    def get(self, reference):
        return self.value

    def list(self, api_version, kind, *, selector=""):
        self.asked.append(selector)
        return self.pods


def pod(name, made, *, ready="True", leaving=False, port=8080):
    metadata = {"name": name, "creationTimestamp": made}
    if leaving:
        metadata["deletionTimestamp"] = made
    return {
        "metadata": metadata,
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def service(target):
    return {"spec": {"selector": {"b": "2", "a": "1"}, "ports": [{"port": 80, "targetPort": target}]}}


@pytest.mark.parametrize("target", [8080, "http"])
def test_a_services_port_is_that_of_its_pods(target):
    objects = Objects(service(target), [pod("old", "1"), pod("new", "2"), pod("young", "3", ready="False")])

    assert find_places(objects, SERVICE, 80) == [Place("new", 8080), Place("old", 8080)]
    assert objects.asked == ["a=1,b=2"]


def test_pods_on_their_way_out_and_without_the_port_are_left_out():
    objects = Objects(service("http"), [pod("leaving", "1", leaving=True), {**pod("bare", "2"), "spec": {}}])

    assert find_places(objects, SERVICE, 80) == []


def test_each_kind_has_its_selector():
    objects = Objects({"spec": {"selector": {"matchLabels": {"a": "1"}}}})
    knative = Reference(api_version="serving.knative.dev/v1", kind="Service", name="greet")
    revision = Reference(api_version="serving.knative.dev/v1", kind="Revision", name="greet-2")

    assert selector_of(objects, DEPLOYMENT) == "a=1"
    assert selector_of(objects, knative) == "serving.knative.dev/service=greet"
    assert selector_of(objects, revision) == "serving.knative.dev/revision=greet-2"
    assert selector_of(objects, "a in (1,2)") == "a in (1,2)"


def test_what_is_not_there_or_has_no_pods_is_refused():
    with pytest.raises(PlatformError, match="there is no Deployment greet"):
        selector_of(Objects(), DEPLOYMENT)
    with pytest.raises(PlatformError, match="has no pods of its own"):
        selector_of(Objects({"spec": {}}), SERVICE)


@pytest.mark.parametrize(
    ("change", "ours"),
    [
        ({}, True),
        ({"labels": {}}, False),
        ({"managedFields": [{"manager": "kubectl"}]}, False),
        ({"ownerReferences": [{"name": "greet"}]}, False),
    ],
)
def test_ours_is_what_skerry_applied_itself(change, ours):
    metadata = {
        "labels": {"app.kubernetes.io/managed-by": "skerry"},
        "managedFields": [{"manager": "skerry"}, {"manager": "controller"}],
    }

    assert is_ours({"metadata": metadata | change}) is ours
