"""The objects of an app on Knative."""

from __future__ import annotations

from typing import Final

from skerry.platforms.knative.rendering.eventing import starts
from skerry.platforms.knative.rendering.service import service
from skerry.platforms.kubernetes.rendering import AppToRender, KubernetesObject
from skerry.platforms.kubernetes.rendering.access import shared_objects
from skerry.spec import KNATIVE, ClusterSettings, refuse_unsupported

# The queue proxy beside each function: HTTP/1, HTTP/2, HTTPS, draining, and metrics of its own and of the function.
# The function's port itself is not among them: what goes past the queue proxy is neither counted nor limited.
PORTS: Final = (8012, 8013, 8112, 8022, 9090, 9091)


def render(app: AppToRender, settings: ClusterSettings) -> tuple[KubernetesObject, ...]:
    """Return the objects of an app on Knative, in the order in which they are made.

    Raises:
        SpecError: an option cannot be honoured there.
    """
    objects = shared_objects(app, settings, ports=PORTS)
    for function in app.functions:
        refuse_unsupported(function.spec, KNATIVE)
        objects.append(service(app, function, settings))
    objects += starts(app, settings)
    return tuple(objects)
