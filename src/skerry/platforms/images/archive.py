"""Images as OCI archives: one tar file, which ``skopeo``, ``podman load``, ``ctr import`` and others read."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skerry.errors import ConfigError
from skerry.platforms.images.blobs import Blobs, check_digest
from skerry.platforms.images.layer import Layer
from skerry.platforms.images.manifest import INDEX_TYPE, MANIFEST_TYPE, encode

_CHUNK_BYTES = 1 << 20


def write_archive(path: Path, name: str, manifest: bytes, digest: str, blobs: Blobs) -> None:
    """Write an image as an OCI archive, complete or not at all; the same image gives the same bytes.

    Args:
        path: The file to write.
        name: The image's name in it, such as ``localhost/digits:latest``.
        manifest: The manifest, all of whose contents are in ``blobs``.
        digest: Its digest.
        blobs: Where the contents are.
    """
    content = json.loads(manifest)
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {
                "mediaType": MANIFEST_TYPE,
                "digest": digest,
                "size": len(manifest),
                # The first is read by containerd, the second by skopeo and podman.
                "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
            }
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(tar, "index.json", encode(index))
            _add(tar, _place(digest), manifest)
            for blob in sorted({part["digest"] for part in [content["config"], *content["layers"]]}):
                _add(tar, _place(blob), blobs.path(blob))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_archive(path: Path, blobs: Blobs, architecture: str) -> tuple[dict[str, Any], tuple[Layer, ...], str]:
    """Return the configuration, the layers and the digest of the one image in an OCI archive or layout.

    Args:
        path: The archive, or the folder of a layout.
        blobs: Where to copy the layers.
        architecture: Which image of several to take.

    Raises:
        ConfigError: there is no such image.
        CorruptObjectError: a content is not what its digest says.
    """
    try:
        if path.is_dir():
            return _read(path, lambda name: (path / name).open("rb"), blobs, architecture)
        with tarfile.open(path, "r:") as tar:
            return _read(path, lambda name: _member(tar, name), blobs, architecture)
    except (OSError, tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} is no OCI archive or layout: {error}",
            hint="skopeo copy docker://python:3.12-slim oci-archive:base.tar makes one",
        ) from error


def _read(path: Path, opened: Any, blobs: Blobs, architecture: str) -> tuple[dict[str, Any], tuple[Layer, ...], str]:
    def load(descriptor: Mapping[str, Any]) -> dict[str, Any]:
        with opened(_place(descriptor["digest"])) as file, blobs.writing(expect=descriptor["digest"]) as copy:
            content = file.read()
            copy.write(content)
        loaded: dict[str, Any] = json.loads(content)
        return loaded

    with opened("index.json") as file:
        chosen = choose(json.load(file)["manifests"], architecture, str(path))
    manifest = load(chosen)
    if "manifests" in manifest:  # an index of an index, as for images of several architectures
        chosen = choose(manifest["manifests"], architecture, str(path))
        manifest = load(chosen)
    config = load(manifest["config"])
    for descriptor in manifest["layers"]:
        with opened(_place(descriptor["digest"])) as file, blobs.writing(expect=descriptor["digest"]) as copy:
            while chunk := file.read(_CHUNK_BYTES):
                copy.write(chunk)
    return config, layers_of(manifest, config), chosen["digest"]


def choose(manifests: Sequence[Mapping[str, Any]], architecture: str, where: str) -> Mapping[str, Any]:
    """Return the manifest for Linux on an architecture, of those in an index.

    Raises:
        ConfigError: there is none.
    """
    for manifest in manifests:
        platform = manifest.get("platform") or {}
        if platform.get("architecture", architecture) == architecture and platform.get("os", "linux") == "linux":
            return manifest
    raise ConfigError(f"{where} has no image for linux/{architecture}")


def layers_of(manifest: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Layer, ...]:
    """Return the layers that a manifest and its configuration describe."""
    return tuple(
        Layer(
            title="base",
            digest=descriptor["digest"],
            size_bytes=descriptor["size"],
            diff_id=diff_id,
            # Docker's own name of the same bytes does not go with an OCI manifest.
            media_type=descriptor["mediaType"].replace(
                "application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip"
            ),
        )
        for descriptor, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)
    )


def _place(digest: str) -> str:
    return f"blobs/{check_digest(digest).replace(':', '/')}"


def _member(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    with content.open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        tar.addfile(info, file)
