"""Whose the objects are that an app is to have on a cluster: none of them may be somebody else's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import NameTakenError, PlatformError

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.api.cluster import Cluster
    from skerry.platforms.kubernetes.api.objects import Reference
    from skerry.platforms.kubernetes.rendering import KubernetesObject

HINT = "rename the function or the app, use another --namespace, or delete that first"


def find_present(cluster: Cluster, app: str, objects: Iterable[KubernetesObject]) -> list[KubernetesObject]:
    """Return those of an app's objects that are on the cluster already, as it has them.

    Args:
        cluster: Where they are to be.
        app: The app's name.
        objects: What is to be applied.

    Raises:
        NameTakenError: one belongs to another app, to somebody else, or to a controller; applying would take it over.
        PlatformError: one is being deleted.
    """
    from skerry.platforms.kubernetes.api.objects import refer

    present = []
    for made in objects:
        reference = refer(made)
        found = cluster.get(reference)
        if found is not None:
            refuse_taken(reference, found, app)
            present.append(found)
        if reference.group == "serving.knative.dev":
            _refuse_plain(cluster, reference)
    return present


def refuse_taken(reference: Reference, found: Mapping[str, Any], app: str) -> None:
    """Raise when an object that is there is not the app's: a pure decision.

    Args:
        reference: Which object.
        found: The object as the cluster has it.
        app: The app's name.

    Raises:
        NameTakenError: it belongs to another app, to somebody else, or to a controller.
        PlatformError: it is being deleted.
    """
    from skerry.platforms.kubernetes.api.objects import FIELD_MANAGER, MANAGED_BY_LABEL, PART_OF_LABEL

    metadata = found["metadata"]
    labels = metadata.get("labels") or {}
    owners = metadata.get("ownerReferences") or []
    if owners:
        raise NameTakenError(f"{reference} belongs to {owners[0]['kind']} {owners[0]['name']}", hint=HINT)
    if labels.get(MANAGED_BY_LABEL) != FIELD_MANAGER:
        raise NameTakenError(f"{reference} is there already, and Skerry did not make it", hint=HINT)
    if labels.get(PART_OF_LABEL) != app:
        raise NameTakenError(f"{reference} belongs to app {labels.get(PART_OF_LABEL)!r}", hint=HINT)
    if metadata.get("deletionTimestamp"):
        raise PlatformError(f"{reference} is being deleted; deploy again once it is gone", reason="deleting")


def has_changed(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether applying has changed anything.

    Args:
        before: The objects that were there.
        after: All objects, as applying left them.
    """
    return sorted(map(_state, before)) != sorted(map(_state, after))


def _refuse_plain(cluster: Cluster, service: Reference) -> None:
    """Raise when a plain Service has the name that Knative gives to the one of its route."""
    from skerry.platforms.kubernetes.api.objects import Reference

    plain = Reference(api_version="v1", kind="Service", name=service.name, namespace=service.namespace)
    found = cluster.get(plain)
    if found is not None and not found["metadata"].get("ownerReferences"):
        raise NameTakenError(f"{plain} is there already, and Knative needs that name for its own", hint=HINT)


def _state(value: Mapping[str, Any]) -> tuple[str, str]:
    """Return what changes when somebody changes an object, and not when only its state does."""
    metadata = value["metadata"]
    return str(metadata.get("uid")), str(metadata.get("generation") or metadata.get("resourceVersion"))
