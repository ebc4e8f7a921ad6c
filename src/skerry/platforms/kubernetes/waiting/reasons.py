"""Why objects are not ready yet, from what the cluster says about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skerry.platforms.kubernetes.api.objects import KubernetesObject, Reference, refer
from skerry.platforms.kubernetes.api.refusals import read_quota
from skerry.platforms.kubernetes.pods.pods import KNATIVE_REVISION, KNATIVE_SERVICE
from skerry.platforms.kubernetes.waiting import pod_reasons
from skerry.platforms.kubernetes.waiting.pod_reasons import Reason

__all__ = ["Reason", "Sight", "explain", "is_ready", "pods_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the cluster says at one moment.

    Args:
        objects: The objects that should be ready, as the cluster has them.
        pods: Pods of their namespace.
        events: Events of their namespace.
        logs: The last lines of pods that crashed or do not get ready, by the pod's name.
    """

    objects: Sequence[Mapping[str, Any]]
    pods: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    logs: Mapping[str, str] | None = None


def explain(sight: Sight) -> Reason | None:
    """Return why the first object that is not ready is not; None when all are.

    Args:
        sight: What the cluster says.
    """
    for value in sight.objects:
        if not is_ready(value):
            return _explain_one(value, sight)
    return None


def is_ready(value: Mapping[str, Any]) -> bool:
    """Whether an object does what it is for; one that has no such state is ready when it is there."""
    status, spec = value.get("status") or {}, value.get("spec") or {}
    current = status.get("observedGeneration", 0) >= value["metadata"].get("generation", 0)
    if value["kind"] == "Deployment":
        wanted = spec.get("replicas", 1)
        return bool(
            current
            and status.get("updatedReplicas", 0) >= wanted
            and status.get("availableReplicas", 0) >= wanted
            and status.get("replicas", 0) <= status.get("updatedReplicas", 0)
        )
    if "knative.dev" in value["apiVersion"]:
        return bool(current and _condition(value, "Ready").get("status") == "True")
    return True


def pods_of(value: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return an object's pods, the newest first; of a Knative Service those of its newest revision."""
    name, status = value["metadata"]["name"], value.get("status") or {}
    if value["apiVersion"].startswith("serving.knative.dev/"):
        revision = status.get("latestCreatedRevisionName")
        wanted = {KNATIVE_REVISION: revision} if revision else {KNATIVE_SERVICE: name}
    else:
        wanted = ((value.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    found = [pod for pod in pods if wanted and wanted.items() <= (pod["metadata"].get("labels") or {}).items()]
    return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)


def _explain_one(value: Mapping[str, Any], sight: Sight) -> Reason:
    reference, reasons = refer(value), []
    for pod in pods_of(value, sight.pods):
        events = [event for event in sight.events if _about(event, "Pod", pod["metadata"]["name"])]
        if reason := pod_reasons.explain_pod(
            reference, pod, events, (sight.logs or {}).get(pod["metadata"]["name"], "")
        ):
            reasons.append(reason)
    if reasons:
        return next((reason for reason in reasons if reason.lasting), reasons[0])
    if refused := _refused_pods(reference, value, sight.events):
        return refused
    if "knative.dev" in value["apiVersion"]:
        return _explain_knative(reference, value)
    status = value.get("status") or {}
    return Reason(reference, "starting", _count_replicas((value.get("spec") or {}).get("replicas", 1), status), "")


def _count_replicas(wanted: int, status: Mapping[str, Any]) -> str:
    """Say how far a Deployment is on its way to a new revision."""
    ready, updated = status.get("availableReplicas", 0), status.get("updatedReplicas", 0)
    if ready < wanted:
        return f"{ready} of {wanted} replicas are ready"
    if updated < wanted:
        return f"{updated} of {wanted} replicas are of the new revision"
    return f"{status.get('replicas', 0) - updated} replicas of the revision before are ending"


def _refused_pods(reference: Reference, value: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> Reason | None:
    """Say why no pod could be made: a quota, a policy, a missing service account."""
    message = ""
    failure = _condition(value, "ReplicaFailure")
    if failure.get("status") == "True":
        message = str(failure.get("message", ""))
    prefix = f"{reference.name}-"
    for event in events:
        about = event.get("involvedObject") or {}
        if event.get("reason") == "FailedCreate" and str(about.get("name", "")).startswith(prefix):
            message = str(event.get("message", "")) or message
    if not message:
        return None
    if quota := read_quota(message):
        return Reason(reference, "quota", f"no pod can be made: {quota}", "", lasting=True)
    if "serviceaccount" in message and "not found" in message:
        step = "apply the app's ServiceAccount, or name one that exists"
        return Reason(reference, "account", f"no pod can be made: {message}", step, lasting=True)
    return Reason(reference, "refused", f"no pod can be made: the cluster refuses it: {message}", "", lasting=True)


def _explain_knative(reference: Reference, value: Mapping[str, Any]) -> Reason:
    conditions = (value.get("status") or {}).get("conditions") or []
    if not conditions:
        return Reason(
            reference,
            "controller",
            "Knative has not looked at it yet",
            "see whether Knative's controllers run: kubectl get pods -n knative-serving",
        )
    failed = [c for c in conditions if c.get("status") == "False" and c.get("type") != "Ready"] or [
        c for c in conditions if c.get("status") == "False"
    ]
    if not failed:
        waiting: Mapping[str, Any] = next((c for c in conditions if c.get("status") != "True"), {})
        text = str(waiting.get("message") or waiting.get("reason") or "Knative is at work")
        if waiting.get("reason") in ("IngressNotConfigured", "Uninitialized"):
            step = "see whether a networking layer (Kourier, Contour, Istio) is installed and named in config-network"
            return Reason(reference, "ingress", f"no ingress serves it yet: {text}", step)
        return Reason(reference, "starting", text, "")
    reason, text = str(failed[0].get("reason", "")), str(failed[0].get("message", ""))
    if "image" in text and pod_reasons.is_image_trouble(text):
        return pod_reasons.image_reason(reference, _image(value), text)
    if quota := read_quota(text):
        return Reason(reference, "quota", f"no pod can be made: {quota}", "", lasting=True)
    return Reason(reference, "revision", f"its revision failed ({reason}): {text}", "", lasting=True)


def _image(value: Mapping[str, Any]) -> str:
    template = ((value.get("spec") or {}).get("template") or {}).get("spec") or {}
    containers = template.get("containers") or [{}]
    return str(containers[0].get("image", ""))


def _condition(value: Mapping[str, Any], kind: str) -> KubernetesObject:
    for condition in (value.get("status") or {}).get("conditions") or []:
        if condition.get("type") == kind:
            return dict(condition)
    return {}


def _about(event: Mapping[str, Any], kind: str, name: str) -> bool:
    about = event.get("involvedObject") or {}
    return bool(about.get("kind") == kind and about.get("name") == name)
