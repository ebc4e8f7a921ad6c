"""How plain Kubernetes follows the load: by the processors that are used, and never to zero."""

from __future__ import annotations

import math
from typing import Any

from skerry.errors import SpecError
from skerry.platforms.kubernetes.api.objects import KubernetesObject, object_name
from skerry.platforms.kubernetes.rendering.app import AppToRender, FunctionToRender
from skerry.platforms.kubernetes.rendering.metadata import kubernetes_object
from skerry.spec import ClusterSettings, Scale

PERIOD_S = 15  # between two decisions of Kubernetes
MOST_STABILIZATION_S = 3600
MOST_PERCENT = 2**31 - 1


def scaler(app: AppToRender, function: FunctionToRender, settings: ClusterSettings) -> KubernetesObject:
    """Return a function's HorizontalPodAutoscaler.

    Raises:
        SpecError: the stable window and the delay are more than Kubernetes looks back, or more is kept than allowed.
    """
    name, scale = function.spec.name, function.spec.scale
    most = scale.max or settings.max_replicas
    least = max(1, scale.min, min(scale.activation, most))
    if least > most:
        raise SpecError(
            f"function {name!r}: scale.min = {least} is above max_replicas = {most} of [platform.kubernetes]; raise "
            "it, or set scale.max",
            field="scale.min",
        )
    if scale.initial > least:
        raise SpecError(
            f"function {name!r}: scale.initial = {scale.initial}: plain Kubernetes starts with scale.min, at least 1; "
            "set scale.min",
            field="scale.initial",
        )
    target = {"type": "Utilization", "averageUtilization": max(1, round(scale.utilization * 100))}
    return kubernetes_object(
        f"autoscaling/{settings.autoscaling}",
        "HorizontalPodAutoscaler",
        app=app,
        settings=settings,
        function=name,
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": object_name(name)},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": _behavior(name, scale),
        },
    )


def _behavior(name: str, scale: Scale) -> dict[str, Any]:
    steady_s = math.ceil(scale.window_s + scale.delay_s)
    if steady_s > MOST_STABILIZATION_S:
        raise SpecError(
            f"function {name!r}: scale.window and scale.delay are {steady_s} s together, and Kubernetes looks back "
            f"{MOST_STABILIZATION_S} s at most",
            field="scale.window",
        )
    return {
        "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [_policy(scale.up_rate - 1)]},
        "scaleDown": {"stabilizationWindowSeconds": steady_s, "policies": [_policy(1 - 1 / scale.down_rate)]},
    }


def _policy(ratio: float) -> dict[str, Any]:
    percent = min(MOST_PERCENT, max(1, round(ratio * 100)))
    return {"type": "Percent", "value": percent, "periodSeconds": PERIOD_S}
