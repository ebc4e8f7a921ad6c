"""Waiting until objects are ready, with a line that says why they are not yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from skerry.errors import DeadlineExceededError, MemoryLimitError, PlatformError, SkerryError, StartError
from skerry.platforms.kubernetes.api.cluster import Cluster
from skerry.platforms.kubernetes.api.objects import KubernetesObject, Reference, refer
from skerry.platforms.kubernetes.pods.logs import SIDECARS
from skerry.platforms.kubernetes.waiting.reasons import Reason, Sight, explain, is_ready, pods_of

POLL_S: Final = 0.5
PATIENCE_S: Final = 6.0
# Room may come: pods of the revision before end, and what adds nodes takes its time to say so.
LONGER: Final = {"unschedulable": 5}
# Reasons that every start passes through, and that are trouble only when they stay.
PASSING: Final = frozenset({"controller", "ingress", "probe"})
CALM_S: Final = 10.0
LOG_LINES: Final = 200  # of which the last few are told
_ERRORS: Final[Mapping[str, type[SkerryError]]] = {"crash": StartError, "load": StartError, "memory": MemoryLimitError}


def wait_ready(
    cluster: Cluster,
    objects: Iterable[Mapping[str, Any]],
    tell: Callable[[str], None] | None = None,
    *,
    deadline_s: float = 300.0,
    patience_s: float = PATIENCE_S,
) -> None:
    """Wait until objects are ready.

    Args:
        cluster: Where they are.
        objects: What was applied; those that know no readiness count as ready.
        tell: Is told why something is not ready yet, whenever that changes.
        deadline_s: Longest wait in seconds.
        patience_s: How long a reason that does not pass by itself must last, in seconds, before it is an error; of
            those in `LONGER` that many times as long.

    Raises:
        StartError: a container ends right after its start, or its workers cannot start; the message has its last
            lines.
        MemoryLimitError: a container needs more memory than its limit.
        PlatformError: another reason that stays until somebody does something; ``reason`` names it in one word.
        DeadlineExceededError: the time is over; the message says what it waited for.
    """
    references = [refer(value) for value in objects]
    began = time.monotonic()
    told, seen, since = "", ("", False), began
    while True:
        reason = explain(look(cluster, references))
        now = time.monotonic()
        if reason is None:
            return
        if seen != (reason.cause, reason.lasting):
            seen, since = (reason.cause, reason.lasting), now
        if tell and reason.line != told and (reason.cause not in PASSING or now - since >= CALM_S):
            told = reason.line
            tell(told)
        if reason.lasting and now - since >= patience_s * LONGER.get(reason.cause, 1):
            raise to_error(reason)
        if now - began > deadline_s:
            raise DeadlineExceededError(f"not ready after {deadline_s:g} s: {reason}", reason=reason.cause)
        time.sleep(POLL_S)


def look(cluster: Cluster, references: Iterable[Reference]) -> Sight:
    """Return what the cluster says about objects now.

    Args:
        cluster: Where they are.
        references: Which objects.

    Raises:
        PlatformError: one of them is not there.
    """
    values = [_present(cluster, reference) for reference in references]
    if all(is_ready(value) for value in values):
        return Sight(objects=values)
    pods = cluster.list("v1", "Pod")
    events = sorted(cluster.list("v1", "Event"), key=lambda event: str(event.get("lastTimestamp") or ""))
    logs = {}
    for value in values:
        for pod in pods_of(value, pods):
            if (container := _crashed(pod) or _unready(pod)) and not is_ready(value):
                logs[pod["metadata"]["name"]] = cluster.last_words(pod["metadata"]["name"], container, LOG_LINES)
    return Sight(objects=values, pods=pods, events=events, logs=logs)


def to_error(reason: Reason) -> SkerryError:
    """Return the error that a lasting reason is."""
    return _ERRORS.get(reason.cause, PlatformError)(str(reason), reason=reason.cause)


def _present(cluster: Cluster, reference: Reference) -> KubernetesObject:
    value = cluster.get(reference)
    if value is None:
        raise PlatformError(f"{reference} was removed while it was waited for; deploy again", reason="removed")
    return value


def _crashed(pod: Mapping[str, Any]) -> str:
    """Return the container that ended; empty when none did."""
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated"):
            return str(status["name"]) if not status.get("ready") else ""
    return ""


def _unready(pod: Mapping[str, Any]) -> str:
    """Return the function's container of a pod that runs and is not ready; empty when there is none."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    if all(status.get("ready") for status in statuses):
        return ""
    running = [str(status["name"]) for status in statuses if "running" in (status.get("state") or {})]
    return next((name for name in running if name not in SIDECARS), "")  # Knative probes through its proxy
