"""What goes wrong on a cluster, as a real one says it: each gives one message with the cause and the next step."""

import socket
import ssl

import pytest

from skerry.errors import (
    ConfigError,
    DeadlineExceededError,
    MemoryLimitError,
    PlatformError,
    SiteUnreachableError,
    StartError,
    UnauthorizedError,
)
from skerry.platforms.kubernetes.api.cluster import Cluster
from skerry.platforms.kubernetes.api.objects import refer
from skerry.platforms.kubernetes.waiting.reasons import explain
from skerry.platforms.kubernetes.waiting.waiting import look, wait_ready
from support.cluster_apps import SERVE, deployment, weak_kubeconfig
from support.cluster_fixtures import drop_namespace, make_namespace
from support.engine_process import wait_until

DEADLINE_S = 90.0


@pytest.fixture(scope="module")
def place(cluster):
    """The product's view of a namespace of this file's own."""
    name = make_namespace(cluster.api)
    found = Cluster(cluster.kubeconfig, namespace=name)
    yield found
    found.close()
    drop_namespace(cluster.api, name)


@pytest.fixture(scope="module")
def broken(place, cluster, machine_image):
    """Deployments of which each cannot get ready for a reason of its own, applied at once."""
    secret = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "token"}}}]
    greedy = "block = [bytes(range(256)) * 40_000 for _ in range(200)]"
    values = [
        deployment("image", f"{cluster.registry}/skerry-test/nothing:1", SERVE),
        deployment("registry", "10.99.0.1:5999/skerry-test/nothing:1", SERVE),
        # Without a probe, what runs is ready, and on a busy machine these run for a while.
        deployment("crash", machine_image, "print('loading'); raise SystemExit('no model here')", ready="/"),
        deployment("memory", machine_image, greedy, limits={"memory": "64Mi"}, ready="/"),
        deployment("program", machine_image, "", command=["/no/such/program"]),
        deployment("secret", machine_image, SERVE, env=secret),
        deployment("huge", machine_image, SERVE, limits={"memory": "4000Gi"}),
        deployment("probe", machine_image, SERVE.replace("200", "503"), ready="/health/readiness"),
    ]
    place.apply(values)
    return {value["metadata"]["name"]: value for value in values}


def fail(place, value):
    """Wait for an object that cannot get ready; return the error, whose cause was also told on the way."""
    told = []
    with pytest.raises((PlatformError, StartError, MemoryLimitError)) as caught:
        wait_ready(place, [value], told.append, deadline_s=DEADLINE_S, patience_s=0.5)
    assert caught.value.message.startswith(told[-1])
    return caught.value


def test_an_image_that_is_not_in_the_registry(place, broken, cluster):
    error = fail(place, broken["image"])

    assert f"there is no image {cluster.registry}/skerry-test/nothing:1" in error.message
    assert "build and push it" in error.message
    assert error.details["reason"] == "image"


def test_a_registry_that_does_not_answer(place, broken):
    error = fail(place, broken["registry"])

    assert error.details["reason"] == "registry"
    assert "connection refused" in error.message


def test_a_crash_loop_shows_the_last_lines(place, broken):
    error = fail(place, broken["crash"])

    assert isinstance(error, StartError)
    assert "exit code 1" in error.message
    assert "no model here" in error.message


def test_a_container_that_needs_too_much_memory(place, broken):
    error = fail(place, broken["memory"])

    assert isinstance(error, MemoryLimitError)
    assert "memory option" in error.message


def test_a_program_that_is_not_in_the_image(place, broken):
    error = fail(place, broken["program"])

    assert error.details["reason"] == "config"
    assert "/no/such/program" in error.message


def test_a_secret_that_is_missing(place, broken):
    error = fail(place, broken["secret"])

    assert "there is no secret vault" in error.message
    assert "kubectl create secret generic vault" in error.message


def test_a_pod_that_no_node_can_take(place, broken):
    error = fail(place, broken["huge"])

    assert error.details["reason"] == "unschedulable"
    assert "Insufficient memory" in error.message


def test_a_probe_that_fails_is_named_when_the_time_is_over(place, broken):
    reference = refer(broken["probe"])
    wait_until(lambda: explain(look(place, [reference])).cause == "probe", within_s=DEADLINE_S, what="a failed probe")

    with pytest.raises(DeadlineExceededError, match="Readiness probe failed"):
        wait_ready(place, [broken["probe"]], deadline_s=0.0)


def test_a_quota_that_is_exceeded(cluster, namespace, machine_image):
    place = Cluster(cluster.kubeconfig, namespace=namespace)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"limits.memory": "100Mi"}},
    }
    place.apply([quota])
    wait_until(lambda: _counts(place), within_s=30, what="a quota that counts")
    value = deployment("large", machine_image, SERVE, limits={"memory": "200Mi"})
    place.apply([value])
    error = fail(place, value)

    assert error.details["reason"] == "quota"
    assert "quota small is exceeded: asked for limits.memory=200Mi" in error.message


def test_without_rights_the_missing_rule_is_named(place, tmp_path, machine_image):
    weak = Cluster(weak_kubeconfig(place, tmp_path), namespace=place.namespace)

    with pytest.raises(PlatformError) as caught:
        weak.apply([deployment("any", machine_image, SERVE)])

    assert f"system:serviceaccount:{place.namespace}:weak may not patch deployments" in caught.value.message
    assert 'apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]' in caught.value.message
    assert caught.value.details["reason"] == "forbidden"
    assert weak.owned("faults") == []


def test_a_token_that_is_not_accepted(place, tmp_path):
    with pytest.raises(UnauthorizedError, match="does not accept the token; it expired or was revoked"):
        Cluster(weak_kubeconfig(place, tmp_path, token="stale")).list("v1", "Pod")


def test_an_api_that_does_not_answer(tmp_path, place):
    refused = r"context 'weak' of .*refuses connections; is the cluster running"
    with socket.socket() as bound:  # and not listening, so nobody else listens there
        bound.bind(("127.0.0.1", 0))
        file = weak_kubeconfig(place, tmp_path, token="any", server=f"https://127.0.0.1:{bound.getsockname()[1]}")

        with pytest.raises(SiteUnreachableError, match=refused):
            Cluster(file).list("v1", "Pod")


def test_a_server_that_is_not_the_cluster(tmp_path, place, cluster):
    authority = ssl.get_default_verify_paths().openssl_cafile
    file = weak_kubeconfig(place, tmp_path, token="any", authority=authority)

    with pytest.raises(SiteUnreachableError, match="not signed by the kubeconfig's authority"):
        Cluster(file).list("v1", "Pod")


def test_a_context_that_is_not_in_the_file(cluster):
    with pytest.raises(ConfigError, match="has no context 'elsewhere'; it has "):
        Cluster(cluster.kubeconfig, "elsewhere")


def test_a_namespace_that_is_not_there(cluster, machine_image):
    lost = Cluster(cluster.kubeconfig, namespace="client-lost")

    with pytest.raises(PlatformError, match="run: kubectl create namespace client-lost"):
        lost.apply([deployment("any", machine_image, SERVE)])


def test_a_kind_that_the_cluster_does_not_know(place):
    with pytest.raises(PlatformError, match="kubectl api-resources"):
        place.apply([{"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "skerry"}}])


def test_an_object_that_is_wrong_is_refused_with_its_fields(place, machine_image):
    value = deployment("wrong", machine_image, SERVE)
    value["spec"]["template"]["metadata"]["labels"] = {"other": "labels"}

    with pytest.raises(PlatformError, match=r"applying Deployment wrong: .* spec.template.metadata.labels"):
        place.apply([value])


def _counts(place):
    return any((quota.get("status") or {}).get("hard") for quota in place.list("v1", "ResourceQuota"))
