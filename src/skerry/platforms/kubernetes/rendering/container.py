"""The container of a function: one front and one worker, under Knative's runtime contract."""

from __future__ import annotations

import math
from typing import Any

from skerry.platforms.kubernetes.rendering.app import AppToRender, FunctionToRender
from skerry.platforms.kubernetes.rendering.variables import variables
from skerry.platforms.kubernetes.rendering.volumes import mounts
from skerry.spec import ClusterSettings, FunctionSpec

CONTAINER = "function"
PORT = 8080
LIVENESS_PATH = "/health/liveness"
READINESS_PATH = "/health/readiness"
# Measured: front 25 MB, two zygotes 11 MB each beside what they share with the worker: 47 MB. The rest is for requests
# on their way, of 10 MiB each at most by default.
OVERHEAD_BYTES = 64 * 2**20


def container(app: AppToRender, function: FunctionToRender, settings: ClusterSettings) -> dict[str, Any]:
    """Return a function's container, without its probes: those differ between platforms."""
    spec = function.spec
    found: dict[str, Any] = {
        "name": CONTAINER,
        "image": app.image,
        "command": ["python", "-m", "skerry.runtime"],
        "args": [app.target, "--function", spec.name],
        "ports": [{"name": "http1", "protocol": "TCP", "containerPort": PORT}],
        "env": [variable(name, value) for name, value in variables(function, settings).items()],
    }
    if spec.secrets:
        found["envFrom"] = [{"secretRef": {"name": name}} for name in spec.secrets]
    return {
        **found,
        "resources": resources(spec, settings),
        "volumeMounts": mounts(spec),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            **({"seccompProfile": {"type": "RuntimeDefault"}} if settings.seccomp else {}),
        },
    }


def variable(name: str, value: str) -> dict[str, str]:
    """Return an entry of ``env``; without a value it is empty, and server-side apply of Kubernetes 1.20 wants it so."""
    return {"name": name, "value": value} if value else {"name": name}


def resources(spec: FunctionSpec, settings: ClusterSettings) -> dict[str, Any]:
    """Return what a container asks for and may take.

    Memory is asked for in full, for what is lent twice is taken back by killing. Processors are asked for in part and
    not limited: a function at rest takes none, and a limit would slow down its start more than anything else.
    """
    requests = {"cpu": f"{max(1, math.ceil(spec.cpu * settings.cpu_request_ratio * 1000))}m"}
    limits: dict[str, str] = {}
    if spec.memory_bytes is not None:
        memory = f"{math.ceil((spec.memory_bytes + OVERHEAD_BYTES) / 2**20)}Mi"
        requests["memory"] = limits["memory"] = memory
    if spec.gpu:
        limits[settings.gpu_resource] = str(spec.gpu)
    return {"requests": requests, "limits": limits} if limits else {"requests": requests}


def probe(path: str, **timing: int) -> dict[str, Any]:
    """Return a probe of one of the front's health addresses.

    Args:
        path: The address.
        **timing: Fields of the probe.
    """
    return {"httpGet": {"path": path, "port": PORT}, **timing}
