"""The targets of a Knative Service: set apart from the rest of it, and waited for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from skerry.errors import DeadlineExceededError, FunctionNotFoundError
from skerry.platforms.kubernetes.api.connection import APPLY
from skerry.platforms.kubernetes.api.objects import KubernetesObject, Reference
from skerry.platforms.kubernetes.states import condition

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.api.cluster import Cluster

# What a deployment applies leaves the targets out, so that a later one does not undo a split, nor a split a deployment.
TRAFFIC_MANAGER: Final = "skerry-traffic"
DEADLINE_S: Final = 60.0
POLL_S: Final = 0.2


def set_traffic(
    cluster: Cluster, service: Reference, targets: Sequence[Mapping[str, Any]], *, deadline_s: float = DEADLINE_S
) -> KubernetesObject:
    """Give a Knative Service other targets and return it as it is once the cluster has taken them.

    Args:
        cluster: Where it is.
        service: Which one.
        targets: As Knative's ``spec.traffic`` has them.
        deadline_s: Longest wait in seconds.

    Raises:
        DeadlineExceededError: the cluster has not taken them in time; they are set all the same.
    """
    path = cluster.kinds.find(service.api_version, service.kind).path(
        service.namespace or cluster.namespace, service.name
    )
    body = {
        "apiVersion": service.api_version,
        "kind": service.kind,
        "metadata": {"name": service.name},
        "spec": {"traffic": [dict(target) for target in targets]},
    }
    query = {"fieldManager": TRAFFIC_MANAGER, "force": True}
    doing = f"setting the traffic of {service}"
    cluster.connection.request("PATCH", path, doing=doing, query=query, body=body, content_type=APPLY)
    until = time.monotonic() + deadline_s
    while True:
        found = cluster.get(service)
        if found is None:
            raise FunctionNotFoundError(f"{service} was deleted while its traffic was being set")
        if has_taken(found, targets):
            return found
        if time.monotonic() > until:
            said = condition(found, "RoutesReady").get("message")
            raise DeadlineExceededError(
                f"{service} has not taken its new traffic within {deadline_s:g} s"
                f"{f' ({said})' if said else ''}; it is set, and `skerry traffic` shows when it counts"
            )
        time.sleep(POLL_S)


def has_taken(service: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a Knative Service's status says that it does what its targets ask for."""
    status = service.get("status", {})
    if status.get("observedGeneration") != service["metadata"].get("generation"):
        return False
    latest = status.get("latestReadyRevisionName")
    return _facts(status.get("traffic") or [], latest) == _facts(targets, latest)


def _facts(targets: Sequence[Mapping[str, Any]], latest: object) -> list[tuple[Any, int, str]]:
    return sorted(
        (str(one.get("revisionName") or latest), int(one.get("percent") or 0), str(one.get("tag") or ""))
        for one in targets
    )
