"""Which version of an API an object is written for, where a cluster is older than what is current."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from skerry.platforms.kubernetes.api.objects import KubernetesObject

# The same fields, as far as they are used here. The first is there from Kubernetes 1.23 on, the second until 1.25.
SAME = {"autoscaling/v2": "autoscaling/v2beta2", "autoscaling/v2beta2": "autoscaling/v2"}


def adapt(objects: Iterable[KubernetesObject], has: Callable[[str, str], bool]) -> tuple[KubernetesObject, ...]:
    """Return objects in the versions that a cluster has.

    Args:
        objects: What is rendered.
        has: Whether the cluster knows a kind, by its ``apiVersion`` and its name.

    Example:
        ``adapt(render(app, settings), cluster.kinds.has)``
    """
    return tuple(_adapted(made, has) for made in objects)


def _adapted(made: KubernetesObject, has: Callable[[str, str], bool]) -> KubernetesObject:
    version, kind = made["apiVersion"], made["kind"]
    other = SAME.get(version)
    if other is None or has(version, kind) or not has(other, kind):
        return made
    return {**made, "apiVersion": other}
