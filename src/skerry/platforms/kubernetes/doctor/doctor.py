"""Looking at a cluster for what an app needs, and for what is missing."""

from __future__ import annotations

import platform as machine
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from skerry.errors import PlatformError, SkerryError
from skerry.platforms.kubernetes.api.cluster import Cluster
from skerry.platforms.kubernetes.api.objects import Reference
from skerry.platforms.kubernetes.api.refusals import missing_kind
from skerry.platforms.kubernetes.doctor import findings
from skerry.platforms.kubernetes.doctor.findings import Finding
from skerry.platforms.kubernetes.doctor.registry_check import check_registry
from skerry.platforms.kubernetes.doctor.rights import find_missing, needed_rights, to_rules

SERVING: Final = "knative-serving"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def examine_cluster(
    platform: str,
    *,
    kubeconfig: Path | None = None,
    context: str | None = None,
    namespace: str | None = None,
    registry: str | None = None,
) -> list[Finding]:
    """Return what a cluster has and what is missing, in the order in which it matters.

    Args:
        platform: ``knative`` or ``kubernetes``.
        kubeconfig: As for `Cluster`.
        context: As for `Cluster`.
        namespace: As for `Cluster`.
        registry: Where images are pushed; it is looked at from here.
    """
    try:
        cluster = Cluster(kubeconfig, context, namespace)
        version = cluster.connection.request("GET", "/version", doing="asking for the version")
    except SkerryError as error:
        return [Finding("cluster", "fail", error.message), *_look_at_registry(registry)]
    access = cluster.access
    where = f"context {access.context} of {access.source}" if access.context else access.source
    found = [
        Finding("cluster", "ok", f"{access.server} by {access.means}, {where}"),
        findings.judge_version(version, platform),
        check_namespace(cluster),
        check_rights(cluster, platform),
    ]
    checks = _knative_checks(cluster) if platform == "knative" else _plain_checks(cluster)
    found += [_guard(name, check) for name, check in checks]
    found += [
        _guard("nodes", lambda: findings.judge_nodes(cluster.list("v1", "Node"), _processor())),
        _guard("storage", lambda: findings.judge_storage(cluster.list("storage.k8s.io/v1", "StorageClass"))),
        *_look_at_registry(registry),
    ]
    cluster.close()
    return found


def check_namespace(cluster: Cluster) -> Finding:
    """Look whether the namespace is there."""
    name = cluster.namespace
    try:
        if cluster.get(Reference(api_version="v1", kind="Namespace", name=name)) is None:
            return Finding(
                "namespace", "fail", f"there is no namespace {name}", f"run: kubectl create namespace {name}"
            )
    except PlatformError as error:
        if error.details.get("reason") != "forbidden":
            return Finding("namespace", "fail", error.message)
        return Finding("namespace", "ok", f"{name} (you may not look whether it is there)")
    return Finding("namespace", "ok", name)


def check_rights(cluster: Cluster, platform: str) -> Finding:
    """Look whether one may do what deploying and operating needs."""
    rights = needed_rights(platform)
    try:
        missing = find_missing(cluster, rights)
    except SkerryError as error:
        return Finding("rights", "fail", error.message)
    if missing:
        advice = (
            f"missing is a Role in namespace {cluster.namespace}, bound to you, with the rules:\n{to_rules(missing)}"
        )
        return Finding("rights", "fail", f"{len(missing)} of {len(rights)} are missing", advice)
    return Finding("rights", "ok", f"all {len(rights)} that deploying and operating need in {cluster.namespace}")


def _knative_checks(cluster: Cluster) -> Iterator[tuple[str, Callable[[], Finding]]]:
    def check_types() -> Finding:
        if not cluster.kinds.has("serving.knative.dev/v1", "Service"):
            missing = missing_kind("serving.knative.dev/v1", "Service").message
            return Finding("knative types", "fail", "Knative Serving is not installed", missing)
        if not cluster.kinds.has("eventing.knative.dev/v1", "Trigger"):
            return Finding(
                "knative types", "warn", "Serving, without Eventing",
                "triggers and schedules need Knative Eventing: https://knative.dev/docs/install/yaml-install/eventing",
            )  # fmt: skip
        return Finding("knative types", "ok", "Serving and Eventing")

    def check_controllers() -> Finding:
        return findings.judge_controllers(cluster.list("apps/v1", "Deployment", namespace=SERVING))

    def check_ingress() -> Finding:
        text = cluster.config(SERVING, "config-network").get("ingress-class", "")
        classes = {"kourier": "kourier-system", "contour": "contour-external", "istio": "istio-system"}
        places = [place for word, place in classes.items() if word in text] or list(classes.values())
        for place in places:
            if cluster.list("v1", "Service", namespace=place):
                return Finding("ingress", "ok", f"{text or 'by default'}, in the namespace {place}")
        return Finding(
            "ingress", "fail", f"no networking layer is in {', '.join(places)}",
            "install one, Kourier is the smallest: https://knative.dev/docs/install/yaml-install/serving",
        )  # fmt: skip

    def check_domain() -> Finding:
        return findings.judge_domain(cluster.config(SERVING, "config-domain"))

    yield "knative types", check_types
    yield "knative controllers", check_controllers
    yield "ingress", check_ingress
    yield "domain", check_domain


def _plain_checks(cluster: Cluster) -> Iterator[tuple[str, Callable[[], Finding]]]:
    def check_metrics() -> Finding:
        if cluster.kinds.has("metrics.k8s.io/v1beta1", "PodMetrics"):
            return Finding("metrics", "ok", "the cluster measures its pods")
        advice = "install metrics-server, or functions keep scale.min replicas"
        return Finding("metrics", "warn", "the cluster does not measure its pods, and cannot scale by it", advice)

    yield "metrics", check_metrics


def _guard(name: str, check: Callable[[], Finding]) -> Finding:
    """Run a check; that one may not look is no failure of the cluster."""
    try:
        return check()
    except PlatformError as error:
        if error.details.get("reason") == "forbidden":
            return Finding(
                name, "warn", "you may not look", "ask whoever runs the cluster; Skerry itself needs no such right"
            )
        return Finding(name, "fail", error.message)
    except SkerryError as error:
        return Finding(name, "fail", error.message)


def _look_at_registry(registry: str | None) -> list[Finding]:
    if registry is None:
        advice = "name one with --registry to have it looked at"
        return [Finding("registry", "warn", "none was named, and cluster nodes pull images from one", advice)]
    return [check_registry(registry)]


def _processor() -> str:
    return ARCHITECTURES.get(machine.machine(), machine.machine())
