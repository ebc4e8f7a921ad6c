"""A function on plain Kubernetes: Deployment, Service and HorizontalPodAutoscaler."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from skerry.platforms.kubernetes.api.objects import KubernetesObject, object_name
from skerry.platforms.kubernetes.rendering.app import AppToRender, FunctionToRender
from skerry.platforms.kubernetes.rendering.container import (
    LIVENESS_PATH,
    PORT,
    READINESS_PATH,
    container,
    probe,
    variable,
)
from skerry.platforms.kubernetes.rendering.metadata import app_annotations, kubernetes_object, labels, selector
from skerry.platforms.kubernetes.rendering.pod import pod
from skerry.platforms.kubernetes.rendering.scaler import scaler
from skerry.spec import ClusterSettings

GRACE_S = 10  # what the front takes to end after its last request, and then some
PULL_S = 600  # for the image, beside the start
REVISION_ANNOTATION = "skerry.dev/revision"


def workload(app: AppToRender, function: FunctionToRender, settings: ClusterSettings) -> list[KubernetesObject]:
    """Return the objects of one function."""
    name = function.spec.name
    return [
        _deployment(app, function, settings),
        kubernetes_object(
            "v1",
            "Service",
            app=app,
            settings=settings,
            function=name,
            spec={
                "selector": selector(app, name),
                # The protocol is part of the key by which a server before 1.21 merges ports: it must not be left out.
                "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": PORT}],
            },
        ),
        scaler(app, function, settings),
    ]


def _deployment(app: AppToRender, function: FunctionToRender, settings: ClusterSettings) -> KubernetesObject:
    spec = function.spec
    start_s = math.ceil(spec.start_timeout_s)
    made = container(app, function, settings)
    # Once a second until it is there, so that a start is noticed; then rarely, for an edge machine has better to do.
    made["startupProbe"] = probe(READINESS_PATH, periodSeconds=1, timeoutSeconds=5, failureThreshold=start_s + 30)
    made["readinessProbe"] = probe(READINESS_PATH, periodSeconds=5, timeoutSeconds=5, failureThreshold=2)
    made["livenessProbe"] = probe(LIVENESS_PATH, periodSeconds=10, timeoutSeconds=5, failureThreshold=3)
    inside = pod(app, function, settings, made)
    inside["terminationGracePeriodSeconds"] = math.ceil(spec.drain_s) + GRACE_S
    revision = _revision(spec.name, inside)
    # What Knative would set: the runtime listens on every interface when it has a service's name.
    identity = {"PORT": str(PORT), "K_SERVICE": object_name(spec.name), "K_CONFIGURATION": object_name(spec.name)}
    identity["K_REVISION"] = revision
    made["env"] = [*(variable(key, value) for key, value in identity.items()), *made["env"]]
    return kubernetes_object(
        "apps/v1",
        "Deployment",
        app=app,
        settings=settings,
        function=spec.name,
        # Without replicas: they are the autoscaler's.
        spec={
            "selector": {"matchLabels": selector(app, spec.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "progressDeadlineSeconds": start_s + PULL_S,
            "template": {
                "metadata": {
                    "labels": labels(app, spec.name),
                    "annotations": {**app_annotations(app, spec.name), REVISION_ANNOTATION: revision},
                },
                "spec": inside,
            },
        },
    )


def _revision(function: str, pod_spec: dict[str, Any]) -> str:
    """Return a name for what a function is now: Kubernetes numbers its revisions only once they are there."""
    digest = hashlib.sha256(json.dumps(pod_spec, sort_keys=True).encode()).hexdigest()
    return f"{object_name(function)[:52]}-{digest[:10]}"
