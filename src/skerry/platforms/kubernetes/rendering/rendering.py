"""The objects of an app on plain Kubernetes."""

from __future__ import annotations

from skerry.platforms.kubernetes.api.objects import KubernetesObject
from skerry.platforms.kubernetes.rendering.access import shared_objects
from skerry.platforms.kubernetes.rendering.app import AppToRender
from skerry.platforms.kubernetes.rendering.container import PORT
from skerry.platforms.kubernetes.rendering.workload import workload
from skerry.spec import KUBERNETES, ClusterSettings, refuse_unsupported


def render(app: AppToRender, settings: ClusterSettings) -> tuple[KubernetesObject, ...]:
    """Return the objects of an app on plain Kubernetes, in the order in which they are made.

    Raises:
        SpecError: an option cannot be honoured there.
    """
    objects = shared_objects(app, settings, ports=[PORT])
    for function in app.functions:
        refuse_unsupported(function.spec, KUBERNETES)
        objects += workload(app, function, settings)
    return tuple(objects)
