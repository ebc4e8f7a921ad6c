"""The part of a pod that is the same on Knative and on plain Kubernetes."""

from __future__ import annotations

from typing import Any

from skerry.platforms.kubernetes.rendering.app import AppToRender, FunctionToRender
from skerry.platforms.kubernetes.rendering.metadata import TIER_LABEL
from skerry.platforms.kubernetes.rendering.volumes import volumes
from skerry.spec import ClusterSettings, FunctionSpec, Toleration


def pod(
    app: AppToRender, function: FunctionToRender, settings: ClusterSettings, container: dict[str, Any]
) -> dict[str, Any]:
    """Return the spec of a function's pod around its container."""
    spec = function.spec
    return {
        "serviceAccountName": app.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **_placement(spec),
        "containers": [container],
        "volumes": volumes(spec, settings),
    }


def _placement(spec: FunctionSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wanted = dict(sorted(spec.node_labels.items()))
    if spec.tier is not None:
        wanted[TIER_LABEL] = spec.tier
    if wanted:
        terms = [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()]
        required = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
        found["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    if spec.tolerations:
        found["tolerations"] = [_toleration(Toleration.parse(text)) for text in spec.tolerations]
    if spec.runtime_class is not None:
        found["runtimeClassName"] = spec.runtime_class
    return found


def _toleration(toleration: Toleration) -> dict[str, Any]:
    found = {"key": toleration.key, "operator": "Exists" if toleration.value is None else "Equal"}
    if toleration.value:  # an empty one is said by leaving it out, as in `variable`
        found["value"] = toleration.value
    return found if toleration.effect is None else {**found, "effect": toleration.effect}
