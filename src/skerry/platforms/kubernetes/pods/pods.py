"""Which pods are meant by an object, and at which port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from skerry.errors import PlatformError
from skerry.platforms.kubernetes.api.objects import KubernetesObject, Reference

KNATIVE_SERVICE = "serving.knative.dev/service"
KNATIVE_REVISION = "serving.knative.dev/revision"


class PodReader(Protocol):
    """What finding pods needs of a cluster."""

    def get(self, reference: Reference) -> KubernetesObject | None:
        """Return an object, or None."""

    def list(self, api_version: str, kind: str, *, selector: str = "") -> list[KubernetesObject]:
        """Return objects of a kind."""


@dataclass(frozen=True, slots=True)
class Place:
    """A port of a pod, which runs on a node."""

    pod: str
    port: int
    node: str = ""


def selector_of(reader: PodReader, target: Reference | str) -> str:
    """Return the label selector of the pods that an object has.

    Args:
        reader: The cluster.
        target: A Service, Deployment, Knative Service or Revision; or a label selector already.

    Raises:
        PlatformError: there is no such object, or it has no pods of its own.
    """
    if isinstance(target, str):
        return target
    if target.group == "serving.knative.dev":
        return f"{KNATIVE_REVISION if target.kind == 'Revision' else KNATIVE_SERVICE}={target.name}"
    value = reader.get(target)
    if value is None:
        raise PlatformError(f"there is no {target}; skerry list shows what is deployed", reason="not_found")
    selector = (value.get("spec") or {}).get("selector") or {}
    labels = selector.get("matchLabels", selector)
    if not labels:
        raise PlatformError(f"{target} has no pods of its own", reason="no_pods")
    return ",".join(f"{key}={word}" for key, word in sorted(labels.items()))


def find_places(reader: PodReader, target: Reference | str, port: int) -> list[Place]:
    """Return where connections to a port may go: pods that are ready, the newest first.

    Args:
        reader: The cluster.
        target: A Pod, a Service (whose port it is then), a Deployment, a Knative Service or Revision, or a label
            selector.
        port: The port of the Service, or else of the pods.

    Raises:
        PlatformError: there is no such object.
    """
    if isinstance(target, Reference) and target.kind == "Pod":
        pod = reader.get(target)
        return [Place(target.name, port, _node(pod))] if pod and is_ready_pod(pod) else []
    wanted: int | str = port
    if isinstance(target, Reference) and (target.api_version, target.kind) == ("v1", "Service"):
        wanted = _target_port(reader.get(target) or {}, port)
    pods = [pod for pod in reader.list("v1", "Pod", selector=selector_of(reader, target)) if is_ready_pod(pod)]
    pods.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    found = [Place(pod["metadata"]["name"], _number(pod, wanted), _node(pod)) for pod in pods]
    return [place for place in found if place.port]


def is_ready_pod(pod: Mapping[str, Any]) -> bool:
    """Whether a pod serves, and is not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _target_port(service: Mapping[str, Any], port: int) -> int | str:
    for entry in (service.get("spec") or {}).get("ports") or []:
        if entry.get("port") == port:
            wanted = entry.get("targetPort", port)
            return wanted if isinstance(wanted, int) else str(wanted)
    return port


def _node(pod: Mapping[str, Any]) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def _number(pod: Mapping[str, Any], wanted: int | str) -> int:
    if isinstance(wanted, int):
        return wanted
    for container in (pod.get("spec") or {}).get("containers") or []:
        for entry in container.get("ports") or []:
            if entry.get("name") == wanted:
                return int(entry["containerPort"])
    return 0
