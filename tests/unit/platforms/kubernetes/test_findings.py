"""What a look at a cluster says of what it read."""

import pytest

from skerry.platforms.kubernetes.doctor.findings import (
    judge_controllers,
    judge_domain,
    judge_nodes,
    judge_storage,
    judge_version,
)
from skerry.platforms.kubernetes.doctor.rights import Right, needed_rights, to_rules


@pytest.mark.parametrize(
    ("version", "platform", "state"),
    [
        ("v1.37.1+k3s1", "knative", "ok"),
        ("v1.37.1", "kubernetes", "ok"),
        ("v1.28.3-gke.100", "knative", "warn"),
        ("v1.20.2", "kubernetes", "warn"),
        ("v1.19.0", "kubernetes", "fail"),
        ("strange", "knative", "fail"),
    ],
)
def test_versions_are_compared_as_numbers(version, platform, state):
    assert judge_version({"gitVersion": version}, platform).state == state


def running(*names, available=1):
    return [{"metadata": {"name": name}, "status": {"availableReplicas": available}} for name in names]


def test_controllers_that_are_missing_or_down_are_named():
    names = ("activator", "autoscaler", "controller", "webhook")

    assert judge_controllers(running(*names, "net-kourier-controller")).state == "ok"
    assert "install Knative" in judge_controllers([]).advice
    assert judge_controllers(running(*names[:3]) + running("webhook", available=0)).finding == "not running: webhook"


def test_a_domain_of_the_cluster_alone_is_a_warning():
    assert judge_domain({}).state == "warn"
    assert "inside the cluster alone" in judge_domain({"_example": "...", "svc.cluster.local": ""}).finding
    assert "skerry invoke works" in judge_domain({"example.com": ""}).advice
    assert judge_domain({"functions.example.org": ""}).finding == "functions.example.org"


def node(name, *, ready="True", processor="amd64", labels=None, unschedulable=False):
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {"unschedulable": unschedulable},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "nodeInfo": {"architecture": processor},
        },
    }


def test_nodes_that_are_not_ready_or_of_another_processor_are_told():
    labelled = node("a", labels={"tier": "edge"})

    assert judge_nodes([labelled], "amd64").finding == "1 of 1 ready, amd64; labels: tier"
    assert judge_nodes([labelled, node("b", ready="Unknown")], "amd64").state == "warn"
    assert "must be built for" in judge_nodes([node("a", processor="arm64")], "amd64").advice
    assert judge_nodes([node("a", unschedulable=True)], "amd64").state == "fail"


def test_storage_needs_a_default_class():
    chosen = {"storageclass.kubernetes.io/is-default-class": "true"}

    assert judge_storage([{"metadata": {"name": "local-path", "annotations": chosen}}]).state == "ok"
    assert judge_storage([{"metadata": {"name": "slow"}}]).finding == "no default storage class, only slow"
    assert judge_storage([]).state == "warn"


def test_missing_rights_are_rules_of_a_role():
    rights = [Right("apps", "deployments", "get"), Right("apps", "deployments", "list"), Right("", "pods", "get")]

    assert to_rules(rights).splitlines() == [
        '- {apiGroups: ["apps"], resources: ["deployments"], verbs: ["get", "list"]}',
        '- {apiGroups: [""], resources: ["pods"], verbs: ["get"]}',
    ]


def test_each_platform_needs_rights_on_its_own_kinds():
    groups = {platform: {right.group for right in needed_rights(platform)} for platform in ("knative", "kubernetes")}

    assert "serving.knative.dev" in groups["knative"]
    assert "serving.knative.dev" not in groups["kubernetes"]
    assert "apps" in groups["kubernetes"]
