"""What objects of an app are called, and by what they are found again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from skerry.platforms.kubernetes.api.objects import (
    FIELD_MANAGER,
    FUNCTION_ANNOTATION,
    MANAGED_BY_LABEL,
    NAME_LABEL,
    PART_OF_LABEL,
    KubernetesObject,
    object_name,
)
from skerry.spec import ClusterSettings

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.rendering.app import AppToRender

TIER_LABEL: Final = "skerry.dev/tier"
TARGET_ANNOTATION: Final = "skerry.dev/target"
SOURCE_ANNOTATION: Final = "skerry.dev/source"


def labels(app: AppToRender, function: str | None = None) -> dict[str, str]:
    """Return the labels of an object of a function, or of one that the whole app shares."""
    own = {} if function is None else {NAME_LABEL: object_name(function)}
    return {**own, PART_OF_LABEL: app.name, MANAGED_BY_LABEL: FIELD_MANAGER}


def selector(app: AppToRender, function: str | None = None) -> dict[str, str]:
    """Return the labels by which the pods of a function, or of an app, are chosen."""
    return {key: value for key, value in labels(app, function).items() if key != MANAGED_BY_LABEL}


def app_annotations(app: AppToRender, function: str | None = None) -> dict[str, str]:
    """Return the annotations of an object: what labels cannot hold."""
    found = {FUNCTION_ANNOTATION: function, TARGET_ANNOTATION: app.target, SOURCE_ANNOTATION: app.source}
    return {key: value for key, value in found.items() if value is not None}


def kubernetes_object(
    api_version: str,
    kind: str,
    *,
    app: AppToRender,
    settings: ClusterSettings,
    function: str | None = None,
    extra_labels: Mapping[str, str] | None = None,
    **rest: Any,
) -> KubernetesObject:
    """Return an object of a function, or of the app where none is named.

    Args:
        api_version: Its API.
        kind: What it is.
        app: The app that it belongs to.
        settings: Where it is made.
        function: The function that it belongs to.
        extra_labels: Further labels.
        **rest: Everything but its metadata.
    """
    place = {} if settings.namespace is None else {"namespace": settings.namespace}
    metadata = {
        "name": app.name if function is None else object_name(function),
        **place,
        "labels": {**labels(app, function), **(extra_labels or {})},
        "annotations": app_annotations(app, function),
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
