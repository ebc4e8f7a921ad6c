"""A node, or a pod, that is lost in the middle of a map: no connection ends, and no answer comes."""

import os
import signal
from collections import Counter
from contextlib import contextmanager

import pytest

import skerry
from skerry.errors import TransportError
from skerry.platforms.kubernetes.api.cluster import Cluster
from skerry.platforms.kubernetes.api.objects import refer
from skerry.platforms.kubernetes.doctor import findings
from skerry.platforms.kubernetes.operating import Entrance
from skerry.platforms.kubernetes.platform import KubernetesPlatform
from skerry.platforms.kubernetes.pods import forwarding
from skerry.platforms.kubernetes.waiting.reasons import explain
from skerry.platforms.kubernetes.waiting.waiting import look, wait_ready
from support.cluster_apps import deployment, service
from support.cluster_fixtures import drop_namespace, make_namespace
from support.cluster_nodes import cut_off
from support.container_processes import container_processes
from support.engine_process import wait_until

ITEMS = range(30)
APP = """
import time

import skerry

app = skerry.App("faults")


@app.function
def double(number: int) -> int:
    print("doubling", number, flush=True)
    time.sleep(0.2)
    return 2 * number
"""
RUN = f"""
import os, pathlib, sys
pathlib.Path("/tmp/app.py").write_text({APP!r})
os.chdir("/tmp")
os.execv(sys.executable, [sys.executable, "-m", "skerry.runtime", "--host", "0.0.0.0", "app.py:app"])
"""


@pytest.fixture(scope="module")
def place(cluster, machine_image):
    """A namespace with a function in two pods on two nodes."""
    name = make_namespace(cluster.api)
    place = Cluster(cluster.kubeconfig, namespace=name)
    made = deployment("double", machine_image, RUN, replicas=2, ready="/health/readiness")
    template = made["spec"]["template"]
    apart = {"labelSelector": {"matchLabels": template["metadata"]["labels"]}, "topologyKey": "kubernetes.io/hostname"}
    template["spec"]["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    wait_ready(place, place.apply([made, service("double")]), deadline_s=120)
    yield place
    place.close()
    drop_namespace(cluster.api, name)


@pytest.fixture
def platform(place):
    """The function, called through port-forwards."""
    found = KubernetesPlatform(place, Entrance())
    yield found
    found.close()


@pytest.fixture
def hasty(monkeypatch):
    """Look for signs of life more often, and do not wait for them as long."""
    monkeypatch.setattr(forwarding, "PROBE_AFTER_S", 1.0)
    monkeypatch.setattr(forwarding, "PROBE_TIMEOUT_S", 2.0)
    monkeypatch.setattr(forwarding, "LOST_AFTER_S", 4.0)


@contextmanager
def silent(place, node):
    """Stop everything in the pod on a node: the kernel takes connections, and nobody answers."""
    pods = [pod for pod in place.list("v1", "Pod") if pod["spec"]["nodeName"] == node]
    assert len(pods) == 1
    container = pods[0]["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    stopped = container_processes(container)
    assert stopped
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def doubled(platform, lost, *, idempotent):
    """Map over both pods, one of which is lost after the first result; yields the results while it is."""
    local = skerry.App("faults")

    @local.function(idempotent=idempotent)
    def double(number: int) -> int:
        return 2 * number

    results = double.at(platform).map(ITEMS, in_flight=4, return_errors=True)
    found = [next(results)]
    with lost:
        found += results
        yield found


@pytest.mark.loses_node
def test_a_lost_node_loses_no_result_of_a_map_and_is_named(platform, hasty, cluster):
    place = platform.cluster
    (near,) = (pod["metadata"]["name"] for pod in place.list("v1", "Pod") if pod["spec"]["nodeName"] == "node1")
    with doubled(platform, cut_off(cluster.api), idempotent=True) as results:
        assert results == [2 * number for number in ITEMS]
        assert f"doubling {ITEMS[-1]}" in cluster.api.log(place.namespace, near)

        reason = wait_until(lambda: lost_node(place), within_s=60, what="that the node is missed")
        assert "node node2 does not answer; its pods move when the cluster gives it up" in reason.text
        assert reason.step == "see kubectl get nodes"
        said = findings.judge_nodes(place.list("v1", "Node"), "amd64")
        assert said.state == "warn"
        assert "not ready, or cordoned: node2; look with: kubectl describe node node2" in said.advice


def test_a_map_over_a_lost_pod_reports_what_may_have_run_and_repeats_nothing(platform, hasty):
    before = ran(platform)
    with doubled(platform, silent(platform.cluster, "node2"), idempotent=False) as results:
        pass

    lost = [number for number, result in zip(ITEMS, results, strict=True) if isinstance(result, TransportError)]
    assert lost
    assert [result for result in results if not isinstance(result, TransportError)] == [
        2 * number for number in ITEMS if number not in lost
    ]
    message = results[lost[0]].message
    assert "gives no sign of life: it hangs, or its node node2 is lost (see kubectl get nodes)" in message
    assert "may have run" in message
    assert set((ran(platform) - before).values()) == {1}


def lost_node(place):
    """Return why the function is not ready, once that is a node."""
    reason = explain(look(place, [refer(deployment("double", "any", ""))]))
    return reason if reason is not None and reason.cause == "node" else None


def ran(platform):
    with platform.cluster.logs(refer(deployment("double", "any", ""))) as lines:
        return Counter(line.text for line in lines if line.text.startswith("doubling"))
