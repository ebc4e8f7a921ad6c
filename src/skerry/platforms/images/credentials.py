"""Logins of registries, as docker, podman and skopeo keep them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from skerry.platforms.images.reference import DOCKER_HUB

_HELPER_TIMEOUT_S = 30.0


def find_credentials(registry: str) -> str | None:
    """Return the login for a registry in the form of HTTP's Basic scheme, or none.

    Read from ``$REGISTRY_AUTH_FILE``, ``$DOCKER_CONFIG/config.json`` or ``~/.docker/config.json``, where also a helper
    that keeps them elsewhere may be named. What cannot be read counts as absent.

    Args:
        registry: Its host, with a port where it has one.
    """
    folder = Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser()
    for file in (os.environ.get("REGISTRY_AUTH_FILE"), folder / "config.json"):
        found = _read(Path(file), registry) if file else None
        if found is not None:
            return found
    return None


def _read(file: Path, registry: str) -> str | None:
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    names = [registry, f"https://{registry}"]
    if registry == DOCKER_HUB:
        names += ["docker.io", "https://index.docker.io/v1/"]
    for name in names:
        auth = config.get("auths", {}).get(name, {}).get("auth")
        if auth:
            return str(auth)
        helper = config.get("credHelpers", {}).get(name) or config.get("credsStore")
        if helper:
            found = _ask_helper(f"docker-credential-{helper}", name)
            if found is not None:
                return found
    return None


def _ask_helper(program: str, name: str) -> str | None:
    path = shutil.which(program)
    if path is None:
        return None
    try:
        asked = subprocess.run(
            [path, "get"], input=name, capture_output=True, text=True, check=True, timeout=_HELPER_TIMEOUT_S
        )
        login = json.loads(asked.stdout)
        return base64.b64encode(f"{login['Username']}:{login['Secret']}".encode()).decode()
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None
