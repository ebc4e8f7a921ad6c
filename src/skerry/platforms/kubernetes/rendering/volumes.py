"""What is mounted into a function's container: /tmp, and what its options name."""

from __future__ import annotations

import math
from typing import Any

from skerry.spec import ClusterSettings, FunctionSpec, Volume

TMP = "tmp"


def mounts(spec: FunctionSpec) -> list[dict[str, Any]]:
    """Return the mounts of a function's container."""
    found: list[dict[str, Any]] = [{"name": TMP, "mountPath": "/tmp"}]  # noqa: S108  # the container's own
    for number, volume in enumerate(_volumes(spec), start=1):
        found.append({"name": f"volume-{number}", "mountPath": volume.path})
        if volume.read_only:
            found[-1]["readOnly"] = True
    return found


def volumes(spec: FunctionSpec, settings: ClusterSettings) -> list[dict[str, Any]]:
    """Return the volumes of a function's pod."""
    found: list[dict[str, Any]] = [{"name": TMP, "emptyDir": {"sizeLimit": size(settings.tmp_bytes)}}]
    for number, volume in enumerate(_volumes(spec), start=1):
        found.append({"name": f"volume-{number}", **_source(volume)})
    return found


def size(value_bytes: int) -> str:
    """Return a size as a server writes it, so that tools which compare files with what is there see no difference."""
    mebibytes = math.ceil(value_bytes / 2**20)
    return f"{mebibytes}Mi" if mebibytes % 2**10 else f"{mebibytes // 2**10}Gi"


def _source(volume: Volume) -> dict[str, Any]:
    if volume.kind == "configmap":
        return {"configMap": {"name": volume.name}}
    if volume.kind == "secret":
        return {"secret": {"secretName": volume.name}}
    claim: dict[str, Any] = {"claimName": volume.name}
    return {"persistentVolumeClaim": {**claim, "readOnly": True} if volume.read_only else claim}


def _volumes(spec: FunctionSpec) -> list[Volume]:
    return [Volume.parse(path, source) for path, source in sorted(spec.volumes.items())]
