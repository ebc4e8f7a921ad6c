"""Which optional features of Knative the objects of an app need; all of them are off in a new installation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from skerry.platforms.kubernetes.rendering import KubernetesObject

FEATURE_OF_FIELD = {
    "affinity": "kubernetes.podspec-affinity",
    "tolerations": "kubernetes.podspec-tolerations",
    "runtimeClassName": "kubernetes.podspec-runtimeclassname",
}
CLAIM = "kubernetes.podspec-persistent-volume-claim"
CLAIM_WRITE = "kubernetes.podspec-persistent-volume-write"


def needed_features(objects: Iterable[KubernetesObject]) -> list[str]:
    """Return the keys of the ConfigMap ``config-features`` in ``knative-serving`` that have to be ``enabled``."""
    found: set[str] = set()
    for made in objects:
        if made["apiVersion"] == "serving.knative.dev/v1" and made["kind"] == "Service":
            found |= _of_pod(made["spec"]["template"]["spec"])
    return sorted(found)


def _of_pod(pod: dict[str, Any]) -> set[str]:
    found = {feature for field, feature in FEATURE_OF_FIELD.items() if field in pod}
    for volume in pod["volumes"]:
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:
            found |= {CLAIM} if claim.get("readOnly") else {CLAIM, CLAIM_WRITE}
    return found
