"""What a person may do on a cluster, and which RBAC rules are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.api.cluster import Cluster

REVIEWS_AT_ONCE: Final = 8
_MANAGE: Final = ("get", "list", "create", "patch", "delete")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """Something that may be allowed: a verb on a resource of a group."""

    group: str
    resource: str
    verb: str


def needed_rights(platform: str) -> list[Right]:
    """Return what deploying and operating apps needs in their namespace.

    Args:
        platform: ``knative`` or ``kubernetes``.
    """
    managed = [("", "secrets"), ("", "serviceaccounts"), ("networking.k8s.io", "networkpolicies")]
    if platform == "knative":
        managed += [("serving.knative.dev", "services")]
    else:
        managed += [("", "services"), ("apps", "deployments"), ("autoscaling", "horizontalpodautoscalers")]
    rights = [Right(group, resource, verb) for group, resource in managed for verb in _MANAGE]
    if platform == "knative":
        rights.append(Right("serving.knative.dev", "revisions", "list"))
    return [
        *rights,
        *(Right("", "pods", verb) for verb in ("get", "list", "watch")),
        Right("", "pods/log", "get"),
        Right("", "pods/portforward", "get"),  # a WebSocket is opened with GET
        Right("", "events", "list"),
    ]


def find_missing(cluster: Cluster, rights: Sequence[Right]) -> list[Right]:
    """Return those rights that one does not have in the cluster's namespace.

    Args:
        cluster: The cluster, and who one is on it.
        rights: What to ask about.

    Raises:
        SkerryError: the cluster does not answer.
    """
    with ThreadPoolExecutor(REVIEWS_AT_ONCE) as pool:
        allowed = list(pool.map(lambda right: is_allowed(cluster, right), rights))
    return [right for right, granted in zip(rights, allowed, strict=True) if not granted]


def is_allowed(cluster: Cluster, right: Right) -> bool:
    """Whether one has a right in the cluster's namespace.

    Args:
        cluster: The cluster, and who one is on it.
        right: What to ask about.
    """
    resource, _, part = right.resource.partition("/")
    asked = {
        "namespace": cluster.namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": part,
    }
    answer = cluster.connection.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        doing="asking what you may do",
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        },
    )
    return bool((answer.get("status") or {}).get("allowed"))


def to_rules(rights: Iterable[Right]) -> str:
    """Return rights as the rules of a Role, one line each, those with the same verbs together."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        verbs.setdefault((right.group, right.resource), []).append(right.verb)
    merged: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), words in verbs.items():
        merged.setdefault((group, tuple(words)), []).append(resource)
    return "\n".join(
        f'- {{apiGroups: ["{group}"], resources: [{_quote(resources)}], verbs: [{_quote(words)}]}}'
        for (group, words), resources in merged.items()
    )


def _quote(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
