"""What a cluster's objects say of a function."""

import pytest

from skerry.errors import ConfigError
from skerry.platforms.http.connection import Address
from skerry.platforms.knative.ingress import find_ingress, way_in
from skerry.platforms.knative.platform import KnativePlatform
from skerry.platforms.kubernetes.operating import Entrance
from skerry.platforms.kubernetes.states import container_facts, event_facts, function_of, pod_state, service_state

SERVICE = {
    "metadata": {
        "name": "add-two",
        "labels": {"app.kubernetes.io/name": "add-two", "app.kubernetes.io/part-of": "news"},
        "annotations": {"skerry.dev/function": "add_two"},
    }
}


def test_a_function_keeps_the_name_that_kubernetes_cannot_write():
    assert function_of(SERVICE) == "add_two"


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        (None, "starting", "the cluster has not said anything yet"),
        ({"type": "Ready", "status": "Unknown", "reason": "Deploying"}, "starting", "Deploying"),
        ({"type": "Ready", "status": "False", "message": "no image"}, "failed", "no image"),
        ({"type": "Ready", "status": "True"}, "ready", ""),
    ],
)
def test_a_service_is_ready_starting_or_failed_with_the_reason(status, state, reason):
    service = {**SERVICE, "status": {"conditions": [status] if status else []}}

    found = service_state(service, [], serving=None)

    assert (found.state, found.reason, found.app) == (state, reason, "news")


def test_a_service_whose_new_revision_fails_serves_all_the_same():
    conditions = [
        {"type": "Ready", "status": "False", "message": "no image"},
        {"type": "RoutesReady", "status": "True"},
    ]

    found = service_state({**SERVICE, "status": {"conditions": conditions}}, [], serving="add-two-00001")

    assert (found.state, found.reason) == ("update failed", "no image")


def test_a_pod_says_why_it_waits():
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}, "restartCount": 2}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"nodeName": "node1"},
        "status": {"phase": "Pending", "containerStatuses": [waiting]},
    }

    found = pod_state(pod)

    assert (found.phase, found.restarts, found.node, found.ready) == ("ImagePullBackOff", 2, "node1", False)


def test_a_pod_that_ends_is_not_ready():
    ready = [{"type": "Ready", "status": "True"}]
    pod = {"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"conditions": ready}}

    assert (pod_state(pod).ready, pod_state(pod).phase) == (False, "Terminating")


def test_secrets_are_named_and_never_shown():
    key = {"secretKeyRef": {"name": "store", "key": "password"}}
    env = [{"name": "MARK", "value": "1"}, {"name": "PASSWORD", "valueFrom": key}]
    container = {"image": "r/news", "env": env, "envFrom": [{"secretRef": {"name": "greeting"}}]}

    found = container_facts({"spec": {"containers": [container]}})

    assert found["env"] == {"MARK": "1", "PASSWORD": "(from secret store, key password)"}
    assert found["secrets"] == ["greeting", "store"]


def test_an_event_has_its_time_and_its_object():
    event = {
        "lastTimestamp": "1970-01-01T00:01:00Z",
        "metadata": {},
        "reason": "Killing",
        "message": "stopped",
        "involvedObject": {"kind": "Pod", "name": "p"},
    }

    assert event_facts(event) == {"at": 60.0, "kind": "Killing", "object": "Pod p", "message": "stopped"}


def place(namespace, name, **rest):
    return {"metadata": {"namespace": namespace, "name": name}, **rest}


def test_the_ingress_is_at_the_load_balancer_s_address():
    given = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    services = [place("edge", "kourier"), place("kourier-system", "kourier", status=given)]

    assert find_ingress(services).address == Address(host="192.0.2.7", port=80)


def test_an_ingress_without_an_address_wants_a_port_forward():
    found = find_ingress([place("istio-system", "istio-ingressgateway", status={"loadBalancer": {}})])

    assert (found.namespace, found.address) == ("istio-system", None)


def test_a_cluster_without_a_known_network_layer_has_no_ingress():
    assert find_ingress([place("default", "kubernetes")]) is None


def test_a_function_whose_address_is_over_tls_is_called_so_whatever_the_ingress_is_called():
    url, found = "https://greet.edge.example.com", Address(host="192.0.2.7", port=80)

    assert way_in(found, url) == Address(host="192.0.2.7", port=443, secure=True, name="greet.edge.example.com")
    assert way_in(found, "http://greet.edge.example.com") == found
    forwarded = Address(host="127.0.0.1", port=40_000)
    assert way_in(forwarded, url) == forwarded
    named = Address(host="192.0.2.7", port=8443, secure=True)
    assert way_in(named, url).name == "greet.edge.example.com"


class Cluster:
    """A cluster that has one Knative Service."""

    namespace = "edge"

    def __init__(self, service):
        self.service = service

    def list(self, *_, **__):
        return [self.service]


def test_what_others_have_applied_is_not_deleted():
    labels = {**SERVICE["metadata"]["labels"], "app.kubernetes.io/managed-by": "skerry"}
    metadata = {**SERVICE["metadata"], "labels": labels, "managedFields": [{"manager": "argocd-controller"}]}
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": metadata}

    with pytest.raises(ConfigError, match="app 'news' was not applied by skerry deploy: Service add-two"):
        KnativePlatform(Cluster(service), Entrance()).delete_app("news")


def test_a_function_that_the_cluster_alone_sees_is_not_looked_for_outside():
    labels = {**SERVICE["metadata"]["labels"], "networking.knative.dev/visibility": "cluster-local"}
    status = {"url": "http://add-two.edge.svc.cluster.local"}
    service = {"metadata": {**SERVICE["metadata"], "labels": labels}, "status": status}

    with pytest.raises(ConfigError, match="served to the cluster alone"):
        KnativePlatform(Cluster(service), Entrance()).invoke("add_two", b"1", content_type="application/json")
