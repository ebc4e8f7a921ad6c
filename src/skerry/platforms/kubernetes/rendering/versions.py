"""Which version of an API an object is written for, where a cluster is older than what is current."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from skerry.platforms.kubernetes.rendering.metadata import KubernetesObject

# The same fields, as far as they are used here. The first is there from Kubernetes 1.23 on, the second until 1.25.
SAME = {"autoscaling/v2": "autoscaling/v2beta2", "autoscaling/v2beta2": "autoscaling/v2"}


def adapt(objects: Iterable[KubernetesObject], available: Collection[str]) -> tuple[KubernetesObject, ...]:
    """Return objects in the versions that a cluster has.

    Args:
        objects: What is rendered.
        available: API versions of the cluster, such as ``apps/v1``.

    Example:
        ``adapt(render(app, settings), {"apps/v1", "autoscaling/v2beta2"})``
    """
    return tuple(_adapted(made, available) for made in objects)


def _adapted(made: KubernetesObject, available: Collection[str]) -> KubernetesObject:
    version = made["apiVersion"]
    other = SAME.get(version)
    return {**made, "apiVersion": other} if version not in available and other in available else made
