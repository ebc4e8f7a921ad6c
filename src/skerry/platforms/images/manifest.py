"""The configuration and the manifest of an image, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from skerry.platforms.images.layer import Layer
from skerry.runtime.zygote_process import IMPORTS_VARIABLE

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
# Not root and no user of any base: the number that images without a shell have come to use.
USER = "65532:65532"
SITE_FOLDER = "/opt/skerry/lib"
APP_FOLDER = "/app"
PORT = 8080


def make_config(
    base: Mapping[str, Any],
    layers: Sequence[Layer],
    *,
    target: str,
    labels: Mapping[str, str],
    created_s: int,
    imports: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the configuration of an image: what a container of it runs, and as whom.

    Args:
        base: The configuration of the base.
        layers: All layers, from the lowest.
        target: What the runtime serves, ``FILE.py:app``, in the folder of the app.
        labels: Labels besides those of the base.
        created_s: When it counts as made, in seconds since 1970.
        imports: Libraries that its containers import ahead.
    """
    inherited: Mapping[str, Any] = base.get("config") or {}
    environment = dict(entry.split("=", 1) for entry in inherited.get("Env") or ())
    environment.setdefault("PATH", "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin")
    environment |= {
        "HOME": "/tmp",  # noqa: S108  # the one folder of a container that may be written to
        "PORT": str(PORT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": SITE_FOLDER,
        "PYTHONUNBUFFERED": "1",
    }
    if imports:
        environment[IMPORTS_VARIABLE] = ",".join(imports)
    when = timestamp(created_s)
    return {
        "architecture": base.get("architecture", "amd64"),
        "os": base.get("os", "linux"),
        **({"variant": base["variant"]} if base.get("variant") else {}),
        "created": when,
        "config": {
            "User": USER,
            "WorkingDir": APP_FOLDER,
            # Plain Kubernetes does not set K_SERVICE, by which the runtime knows that it is in a container.
            "Entrypoint": ["python3", "-m", "skerry.runtime", "--host", "0.0.0.0"],  # noqa: S104  # its only way in
            "Cmd": [target],
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "ExposedPorts": {f"{PORT}/tcp": {}},
            "Labels": {**(inherited.get("Labels") or {}), **labels},
            "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": when, "created_by": f"skerry build: {layer.title}"} for layer in layers],
    }


def make_manifest(config: bytes, config_digest: str, layers: Sequence[Layer], labels: Mapping[str, str]) -> bytes:
    """Return the manifest of an image, as it travels."""
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": config_digest, "size": len(config)},
            "layers": [layer.to_descriptor() for layer in layers],
            "annotations": dict(labels),
        }
    )


def encode(value: Mapping[str, Any]) -> bytes:
    """Return JSON in the one form that is digested here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def timestamp(seconds: int) -> str:
    """Return a time as images write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
