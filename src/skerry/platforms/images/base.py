"""What is below an app's own layers: an image of a registry or an archive, a root file system, or this Python."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skerry.errors import ConfigError
from skerry.platforms.images.archive import read_archive
from skerry.platforms.images.blobs import Blobs
from skerry.platforms.images.interpreter import CERTIFICATES, collect_interpreter
from skerry.platforms.images.layer import Layer, list_members, write_layer
from skerry.platforms.images.reference import Reference
from skerry.platforms.images.registry import Registry

THIS_PYTHON = "this-python"
DEFAULT_BASE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# Change it when the content of a base made here changes without its inputs changing.
_FORMAT = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The layers below an app's own.

    Args:
        name: What the person called it.
        digest: Of its manifest; empty for one made here.
        config: Its configuration.
        layers: From the lowest.
        origin: The repository that has its layers; None when they are here.
    """

    name: str
    digest: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]
    origin: Reference | None = None


def architecture() -> str:
    """Return this machine's architecture, in the word that images use."""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def find_base(name: str, blobs: Blobs, *, insecure: bool = False) -> Base:
    """Return the base that a person named.

    Args:
        name: ``this-python``, the path of an OCI archive or layout, or an image's name in a registry.
        blobs: Where to keep what is made or read here.
        insecure: Whether the registry may be spoken to in plain HTTP.

    Raises:
        ConfigError: there is none of that name, or it is for another Python or another architecture.
    """
    if name == THIS_PYTHON:
        return _from_this_python(blobs)
    if name.endswith(".tar") or "/" in name[:1] or name.startswith("./"):
        config, layers, digest = read_archive(Path(name), blobs, architecture())
        origin = None
    else:
        origin = Reference.parse(name)
        config, layers, digest = Registry(origin, insecure=insecure).image(architecture())
    base = Base(name=name, digest=digest, config=config, layers=layers, origin=origin)
    _check(base)
    return base


def from_rootfs(folder: Path, blobs: Blobs) -> Base:
    """Return a base of the files in a folder, such as one that debootstrap has filled.

    Raises:
        ConfigError: there is no Python of this version in it.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not any((folder / place / version).exists() for place in ("usr/local/bin", "usr/bin", "bin")):
        raise ConfigError(
            f"{folder} holds no {version}, and the app's libraries are installed for it",
            hint="install that Python into the folder, or run skerry build with the Python that is there",
        )
    layer = write_layer("base", list_members(folder, "", is_root=True), blobs)
    return Base(name=f"rootfs:{folder.name}", digest="", config={"architecture": architecture()}, layers=(layer,))


def _from_this_python(blobs: Blobs) -> Base:
    key = hashlib.sha256(json.dumps([_FORMAT, sys.version, sys.base_prefix, architecture()]).encode()).hexdigest()
    recalled = blobs.recall(key)
    if recalled is None:
        with tempfile.TemporaryDirectory(prefix="skerry-base-") as workspace:
            layers: tuple[Layer, ...] = (write_layer("base", collect_interpreter(Path(workspace)), blobs),)
        blobs.remember(key, {}, layers)
    else:
        layers = recalled[1]
    config = {
        "architecture": architecture(),
        "config": {"Env": [f"PYTHON_VERSION={platform.python_version()}", f"SSL_CERT_FILE=/{CERTIFICATES}"]},
    }
    return Base(name=THIS_PYTHON, digest="", config=config, layers=layers)


def _check(base: Base) -> None:
    """Raise ConfigError for a base that libraries chosen on this machine would not run on."""
    found = base.config.get("architecture")
    if found != architecture():
        raise ConfigError(
            f"base {base.name} is for {found}, and libraries are installed for this machine's {architecture()}",
            hint="build on a machine of that kind",
        )
    environment = dict(entry.split("=", 1) for entry in (base.config.get("config") or {}).get("Env") or ())
    version = environment.get("PYTHON_VERSION")
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version is not None and version.split(".")[:2] != ours.split("."):
        raise ConfigError(
            f"base {base.name} has Python {version}, and libraries are installed for this one, {ours}",
            hint=f"use a base such as {DEFAULT_BASE}, or run skerry build with Python {version}",
        )
