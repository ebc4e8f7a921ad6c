"""What a look at a cluster found. Pure: what it says of what was read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

OLDEST: Final = (1, 20)
OLDEST_HPA: Final = (1, 23)
OLDEST_KNATIVE: Final = (1, 32)
CONTROLLERS: Final = ("activator", "autoscaler", "controller", "webhook")
CLUSTER_DOMAIN: Final = "svc.cluster.local"  # what Knative takes by default, from 1.8 on
NO_DOMAIN: Final = "example.com"  # what it took before
SET_DOMAIN: Final = (
    'kubectl patch configmap/config-domain -n knative-serving --type merge -p \'{"data":{"fn.example.com":""}}\''
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing of a cluster that was looked at.

    Args:
        name: What.
        state: ``ok``; ``warn``, something will not work; ``fail``, nothing will.
        finding: What was found.
        advice: How to mend it.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    finding: str
    advice: str = ""


def judge_version(version: Mapping[str, Any], platform: str) -> Finding:
    """Say whether the cluster's Kubernetes is new enough.

    Args:
        version: What ``/version`` answered.
        platform: ``knative`` or ``kubernetes``.
    """
    text = str(version.get("gitVersion", "unknown"))
    found = re.search(r"(\d+)\.(\d+)", text)
    number = (int(found[1]), int(found[2])) if found else (0, 0)
    if number < OLDEST:
        return Finding("version", "fail", f"Kubernetes {text}", "Skerry needs Kubernetes 1.20 or newer")
    if platform == "kubernetes" and number < OLDEST_HPA:
        advice = (
            "it has no autoscaling/v2: skerry deploy takes the version that is there; for files of --target, set "
            'autoscaling = "v2beta2" in [platform.kubernetes]'
        )
        return Finding("version", "warn", f"Kubernetes {text}", advice)
    if platform == "knative" and number < OLDEST_KNATIVE:
        advice = "current releases of Knative want a newer Kubernetes; keep to a release of Knative of its time"
        return Finding("version", "warn", f"Kubernetes {text}", advice)
    return Finding("version", "ok", f"Kubernetes {text}")


def judge_controllers(deployments: Sequence[Mapping[str, Any]]) -> Finding:
    """Say whether Knative Serving's controllers run.

    Args:
        deployments: Those of the namespace ``knative-serving``.
    """
    available = {
        value["metadata"]["name"]: (value.get("status") or {}).get("availableReplicas", 0) for value in deployments
    }
    missing = [name for name in CONTROLLERS if name not in available]
    if len(missing) == len(CONTROLLERS):
        return Finding(
            "knative controllers",
            "fail",
            "none is in the namespace knative-serving: the resource definitions are there and nobody acts on them",
            "install Knative Serving's core (serving-core.yaml): https://knative.dev/docs/install",
        )
    down = [name for name in CONTROLLERS if not available.get(name)]
    if down:
        advice = "look with: kubectl -n knative-serving describe deployment " + " ".join(down)
        return Finding("knative controllers", "fail", f"not running: {', '.join(down)}", advice)
    return Finding("knative controllers", "ok", ", ".join(CONTROLLERS))


def judge_domain(config_domain: Mapping[str, Any]) -> Finding:
    """Say under which domain functions get their addresses.

    Args:
        config_domain: The data of Knative's ConfigMap ``config-domain``.
    """
    domains = [name for name in config_domain if not name.startswith("_")]
    if not domains or CLUSTER_DOMAIN in domains:
        return Finding(
            "domain",
            "warn",
            f"functions are reached from inside the cluster alone: their domain is {CLUSTER_DOMAIN}",
            f"set one, for skerry invoke any that is not this, for others one that leads to the ingress: {SET_DOMAIN}",
        )
    if domains == [NO_DOMAIN]:
        advice = f"skerry invoke works; for others set one that leads to the ingress: {SET_DOMAIN}"
        return Finding("domain", "warn", f"{NO_DOMAIN}, which is no address of the world", advice)
    return Finding("domain", "ok", ", ".join(domains))


def judge_nodes(nodes: Sequence[Mapping[str, Any]], machine: str) -> Finding:
    """Say what nodes there are.

    Args:
        nodes: All of them.
        machine: This machine's processor as Kubernetes calls it, such as ``amd64``.
    """
    ready = [node for node in nodes if _is_usable(node)]
    if not ready:
        return Finding("nodes", "fail", f"none of {len(nodes)} is ready", "look with: kubectl get nodes")
    processors = sorted({str((node["status"].get("nodeInfo") or {}).get("architecture", "")) for node in ready})
    labels = {key for node in ready for key in node["metadata"].get("labels") or {} if "kubernetes.io" not in key}
    text = f"{len(ready)} of {len(nodes)} ready, {', '.join(processors)}; labels: {', '.join(sorted(labels)) or 'none'}"
    if len(ready) < len(nodes):
        lost = [str(node["metadata"]["name"]) for node in nodes if not _is_usable(node)]
        advice = f"not ready, or cordoned: {', '.join(lost)}; look with: kubectl describe node {lost[0]}"
        return Finding("nodes", "warn", text, advice)
    if processors != [machine]:
        return Finding("nodes", "warn", text, f"this machine is {machine}: images must be built for the nodes'")
    return Finding("nodes", "ok", text)


def judge_storage(classes: Sequence[Mapping[str, Any]]) -> Finding:
    """Say whether volumes can be made.

    Args:
        classes: The storage classes.
    """
    names = [value["metadata"]["name"] for value in classes]
    default = "storageclass.kubernetes.io/is-default-class"
    chosen = [
        value["metadata"]["name"]
        for value in classes
        if (value["metadata"].get("annotations") or {}).get(default) == "true"
    ]
    if chosen:
        return Finding("storage", "ok", f"{', '.join(names)}; by default {chosen[0]}")
    others = f", only {', '.join(names)}" if names else ""
    text = f"no default storage class{others}"
    return Finding("storage", "warn", text, "functions with volumes need claims that exist already")


def _is_usable(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return ready and not (node.get("spec") or {}).get("unschedulable")
