"""What a cluster's objects say of a function: pure readings of what the API server returned."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from skerry.platforms.kubernetes.api.objects import FUNCTION_ANNOTATION, NAME_LABEL, PART_OF_LABEL, KubernetesObject

HIDDEN = "(hidden)"
UPDATE_FAILED = "update failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """One replica of a function.

    Args:
        name: Its name.
        node: Where it runs; empty while it waits for a place.
        ready: Whether it takes requests.
        phase: What it is doing, in the cluster's word, or why it cannot: ``ImagePullBackOff``.
        restarts: How often its containers were started again.
    """

    name: str
    node: str
    ready: bool
    phase: str
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionState:
    """A function as its cluster sees it.

    Args:
        name: Its name.
        app: The app that it belongs to.
        revision: What serves; empty before anything was ready.
        address: Where it is called; empty where only the cluster's own network leads there.
        state: ``ready``, ``starting``, ``failed``, or ``update failed``: it serves, its new revision does not.
        reason: Why it is not ready, in the cluster's words.
        pods: Its replicas; none where it has scaled to zero.
    """

    name: str
    app: str
    revision: str
    address: str
    state: str
    reason: str = ""
    pods: tuple[PodState, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {**asdict(self), "pods": [asdict(pod) for pod in self.pods]}


def function_of(found: Mapping[str, Any]) -> str:
    """Return the name of the function that an object belongs to."""
    metadata = found["metadata"]
    named = (metadata.get("annotations") or {}).get(FUNCTION_ANNOTATION)
    return str(named or metadata.get("labels", {}).get(NAME_LABEL, metadata["name"]))


def app_of(found: Mapping[str, Any]) -> str:
    """Return the name of the app that an object belongs to."""
    return str(found["metadata"].get("labels", {}).get(PART_OF_LABEL, ""))


def condition(found: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return an object's condition of a type; empty where it has none."""
    conditions = found.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})


def pod_state(pod: Mapping[str, Any]) -> PodState:
    """Return the state of a pod."""
    status = pod.get("status", {})
    containers = status.get("containerStatuses") or []
    waiting = [one.get("state", {}).get("waiting", {}).get("reason") for one in containers]
    stopping = pod["metadata"].get("deletionTimestamp") is not None
    reason = next(filter(None, waiting), None) or status.get("reason") or status.get("phase") or "Pending"
    return PodState(
        name=pod["metadata"]["name"],
        node=str(pod.get("spec", {}).get("nodeName") or ""),
        ready=condition(pod, "Ready").get("status") == "True" and not stopping,
        phase="Terminating" if stopping else str(reason),
        restarts=sum(int(one.get("restartCount", 0)) for one in containers),
    )


def service_state(service: KubernetesObject, pods: Sequence[PodState], *, serving: str | None) -> FunctionState:
    """Return the state of a function that is a Knative Service.

    Args:
        service: The Knative Service.
        pods: Its pods.
        serving: The revision that gets the requests; none before one was ready.
    """
    ready = condition(service, "Ready")
    serves = serving is not None and condition(service, "RoutesReady").get("status") == "True"
    known = {"True": "ready", "False": UPDATE_FAILED if serves else "failed"}
    return FunctionState(
        name=function_of(service),
        app=app_of(service),
        revision=serving or "",
        address=str(service.get("status", {}).get("url") or ""),
        state=known.get(str(ready.get("status")), "starting"),
        reason="" if ready.get("status") == "True" else _said(ready),
        pods=tuple(pods),
    )


def deployment_state(deployment: KubernetesObject, pods: Sequence[PodState], *, address: str) -> FunctionState:
    """Return the state of a function that is a Deployment.

    Args:
        deployment: The Deployment.
        pods: Its pods.
        address: Where it is called.
    """
    available, progressing = condition(deployment, "Available"), condition(deployment, "Progressing")
    is_ready = available.get("status") == "True"
    is_stuck = progressing.get("status") == "False"
    stuck = UPDATE_FAILED if is_ready else "failed"
    annotations = deployment["metadata"].get("annotations") or {}
    return FunctionState(
        name=function_of(deployment),
        app=app_of(deployment),
        revision=str(annotations.get("deployment.kubernetes.io/revision", "")),
        address=address,
        state=stuck if is_stuck else "ready" if is_ready else "starting",
        reason="" if is_ready and not is_stuck else _said(progressing if is_stuck else available),
        pods=tuple(pods),
    )


def group_pods(pods: Iterable[Mapping[str, Any]]) -> dict[str, list[PodState]]:
    """Return the states of pods by the function that they belong to."""
    found: dict[str, list[PodState]] = {}
    for pod in pods:
        found.setdefault(function_of(pod), []).append(pod_state(pod))
    return found


def container_facts(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a pod template says of a function's container, without any secret.

    The value of a variable is shown only where it stands in the template; one that comes from a Secret is named.
    """
    spec = template.get("spec", {})
    containers = spec.get("containers") or [{}]
    container = containers[0]
    return {
        "image": container.get("image", ""),
        "command": [*container.get("command", ()), *container.get("args", ())],
        "resources": container.get("resources", {}),
        "env": {str(one["name"]): _variable(one) for one in container.get("env") or []},
        "secrets": sorted(_secrets(container)),
        "node_selector": spec.get("nodeSelector", {}),
        "annotations": (template.get("metadata") or {}).get("annotations", {}),
    }


def event_facts(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a cluster's event says: ``at`` (Unix time), ``kind``, ``object`` and ``message``."""
    at = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    about = event.get("involvedObject", {})
    return {
        "at": 0.0 if at is None else datetime.fromisoformat(str(at).replace("Z", "+00:00")).timestamp(),
        "kind": str(event.get("reason", "")),
        "object": f"{about.get('kind', '')} {about.get('name', '')}".strip(),
        "message": str(event.get("message", "")),
    }


def _variable(one: Mapping[str, Any]) -> str:
    if "value" in one:
        return str(one["value"])
    source = one.get("valueFrom") or {}
    for kind in ("secretKeyRef", "configMapKeyRef"):
        if kind in source:
            named = "secret" if kind == "secretKeyRef" else "config map"
            return f"(from {named} {source[kind].get('name')}, key {source[kind].get('key')})"
    return HIDDEN if source else ""


def _secrets(container: Mapping[str, Any]) -> set[str]:
    whole = {str(one["secretRef"]["name"]) for one in container.get("envFrom") or [] if "secretRef" in one}
    single = {
        str(one["valueFrom"]["secretKeyRef"]["name"])
        for one in container.get("env") or []
        if "secretKeyRef" in (one.get("valueFrom") or {})
    }
    return whole | single


def _said(found: Mapping[str, Any]) -> str:
    message = str(found.get("message") or "").strip()
    reason = str(found.get("reason") or "").strip()
    return message or reason or json.dumps(dict(found)) if found else "the cluster has not said anything yet"
