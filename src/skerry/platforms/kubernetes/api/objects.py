"""Kubernetes objects as plain dictionaries: how they are named, labelled and told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

KubernetesObject = dict[str, Any]
"""An object as its YAML says it: ``apiVersion``, ``kind``, ``metadata`` and so on."""

FIELD_MANAGER: Final = "skerry"
NAME_LABEL: Final = "app.kubernetes.io/name"
PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
FUNCTION_ANNOTATION: Final = "skerry.dev/function"  # its own name, which a label may not hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Which object is meant.

    Args:
        api_version: Such as ``apps/v1``.
        kind: Such as ``Deployment``.
        name: Its name.
        namespace: Its namespace; empty for what lives in none, or in the one that a cluster is used with.
    """

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    @property
    def group(self) -> str:
        """The group of the API; empty for the core."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def refer(value: Mapping[str, Any]) -> Reference:
    """Return which object this is."""
    metadata = value["metadata"]
    return Reference(
        api_version=value["apiVersion"],
        kind=value["kind"],
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
    )


def object_name(function: str) -> str:
    """Return the name of a function's objects: Kubernetes knows no ``_``."""
    return function.replace("_", "-")


def app_selector(app: str, function: str | None = None) -> str:
    """Return the label selector of an app's objects, or of one of its functions.

    Args:
        app: The app's name.
        function: The function's name, for its objects only.
    """
    selector = f"{MANAGED_BY_LABEL}={FIELD_MANAGER},{PART_OF_LABEL}={app}"
    return f"{selector},{NAME_LABEL}={function}" if function else selector


def is_ours(value: Mapping[str, Any]) -> bool:
    """Whether Skerry applied this object itself: not somebody who copied its labels, nor a controller."""
    metadata = value.get("metadata", {})
    if metadata.get("ownerReferences"):
        return False
    if metadata.get("labels", {}).get(MANAGED_BY_LABEL) != FIELD_MANAGER:
        return False
    return any(entry.get("manager") == FIELD_MANAGER for entry in metadata.get("managedFields", []))
