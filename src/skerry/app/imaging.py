"""Making an image of an app: its source, what it needs installed and Skerry itself, on top of a base."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.app.image_layers import app_layer, library_layers, own_layer
from skerry.app.shipping import Collected, collect
from skerry.app.target import Target
from skerry.errors import ConfigError
from skerry.version import __version__

if TYPE_CHECKING:
    from skerry.platforms.images.base import Base
    from skerry.platforms.images.blobs import Blobs
    from skerry.platforms.images.layer import Layer
    from skerry.platforms.images.pushing import Image


def _silent(line: str) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """How an image is to be made.

    Args:
        base: ``this-python``, an OCI archive or layout, or an image's name; the official Python image by default.
        base_rootfs: A root file system to take in place of a base image.
        output: The OCI archive to write, if any.
        push: The name to push to, ``REGISTRY/NAME[:TAG]``, if any.
        insecure: Whether registries may be spoken to in plain HTTP.
        created_s: When the image counts as made, seconds since 1970.
        cache: Where layers are kept; the user's cache by default.
        tell: Called with each line that says how it is getting on.
    """

    base: str | None = None
    base_rootfs: Path | None = None
    output: Path | None = None
    push: str | None = None
    insecure: bool = False
    created_s: int = 0
    cache: Path | None = None
    tell: Callable[[str], None] = _silent


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """An image that was made.

    Args:
        reference: The name under which a cluster gets exactly this image; one of this machine when it was not pushed.
        digest: Of its manifest.
        target: What its containers serve unless told otherwise, ``FILE.py:app`` or ``package.module:app``.
        layers: From the lowest.
        own_bytes: Size of the layers above the base, as they travel.
        pushed_bytes: How many bytes a registry had to be sent; 0 without one.
        base: Name of the base; with its digest, where it has one.
        output: The archive, if one was written.
        sbom: The bill of materials, as it is in the image.
    """

    reference: str
    digest: str
    target: str
    layers: tuple[Layer, ...]
    own_bytes: int
    pushed_bytes: int
    base: str
    output: Path | None = None
    sbom: Mapping[str, Any] = field(default_factory=dict)


def build_image(target: Target, settings: BuildSettings) -> BuiltImage:
    """Make the image of an app, and write or push it.

    Takes seconds to minutes where libraries have to be installed, else less than one.

    Args:
        target: The app, in a file or a package that is not installed.
        settings: How.

    Raises:
        ConfigError: the app is an installed module, or there is no such base.
        EnvironmentBuildError: its requirements cannot be installed.
        TransportError: a registry does not answer.

    Example:
        ``build_image(Target.parse("app.py"), BuildSettings(push="registry.example.com/digits"))``
    """
    from skerry.platforms.images.archive import write_archive
    from skerry.platforms.images.blobs import Blobs, default_cache
    from skerry.platforms.images.pushing import fetch_base, push
    from skerry.platforms.images.reference import Reference
    from skerry.platforms.images.registry import Registry

    if target.project is None:
        raise ConfigError(f"target {target} is no file", hint="name the file that holds the app, like app.py")
    name = image_name(target)
    to = Reference.parse(settings.push) if settings.push else None
    if to is not None and to.digest:
        raise ConfigError(f"{settings.push!r}: a digest is what comes of pushing", hint="write REGISTRY/NAME[:TAG]")
    if to is not None:
        Registry(to, insecure=settings.insecure).check_push()  # before minutes are spent on what cannot be pushed
    blobs = Blobs(settings.cache or default_cache())
    collected = collect(target)
    base = _base(settings, blobs)
    image, sbom = _assemble(collected, base, blobs, settings, name=name, inside=target.inside)
    sent = 0
    reference = f"localhost/{name}@{image.digest}"
    if settings.output is not None:
        fetch_base(base, blobs, settings.tell, insecure=settings.insecure)
        write_archive(settings.output, f"localhost/{name}:latest", image.manifest, image.digest, blobs)
    if to is not None:
        sent = push(image, to, blobs, insecure=settings.insecure, tell=settings.tell)
        reference = to.pinned(image.digest)
    return BuiltImage(
        reference=reference,
        digest=image.digest,
        target=target.inside,
        layers=image.layers,
        own_bytes=image.own_bytes,
        pushed_bytes=sent,
        base=f"{base.name}@{base.digest}" if base.digest else base.name,
        output=settings.output,
        sbom=sbom,
    )


def image_name(target: Target) -> str:
    """Return the name of an app's image: that of its file, or of its folder where the file is called app or main."""
    file = target.file or Path(target.source)
    is_plain = file.stem in ("app", "main", "function_app", "__init__") and file.parent.name
    stem = file.parent.name if is_plain else file.stem
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "app"


def _base(settings: BuildSettings, blobs: Blobs) -> Base:
    from skerry.platforms.images.base import DEFAULT_BASE, find_base, from_rootfs

    if settings.base_rootfs is not None:
        if settings.base is not None:
            raise ConfigError("a base and a base root file system exclude each other")
        return from_rootfs(settings.base_rootfs, blobs)
    return find_base(settings.base or DEFAULT_BASE, blobs, insecure=settings.insecure)


def _assemble(
    collected: Collected, base: Base, blobs: Blobs, settings: BuildSettings, *, name: str, inside: str
) -> tuple[Image, dict[str, Any]]:
    """Put the layers and their description together."""
    from skerry.platforms.images.manifest import encode, make_config, make_manifest
    from skerry.platforms.images.pushing import Image
    from skerry.platforms.images.sbom import make_sbom
    from skerry.platforms.images.standard import standard_layer

    packages, installed = library_layers(collected, blobs, settings.tell)
    packages["skerry"] = (__version__, "Apache-2.0")
    sbom = make_sbom(name, {"name": base.name, "digest": base.digest}, dict(sorted(packages.items())))
    standard = standard_layer(base, blobs)
    below = base.layers if standard is None else (*base.layers, standard)
    layers = (*below, *installed, own_layer(blobs), app_layer(collected, encode(sbom), blobs))
    labels = {
        "org.opencontainers.image.title": name,
        "org.opencontainers.image.base.name": base.name,
        **({"org.opencontainers.image.base.digest": base.digest} if base.digest else {}),
        "dev.skerry.source": f"sha256:{collected.digest}",
        "dev.skerry.target": inside,
        "dev.skerry.version": __version__,
    }
    config = encode(
        make_config(
            base.config,
            layers,
            target=inside,
            labels=labels,
            created_s=settings.created_s,
            imports=collected.imports,
        )
    )
    config_digest = blobs.put(config)
    manifest = make_manifest(config, config_digest, layers, labels)
    digest = blobs.put(manifest)
    return Image(manifest=manifest, digest=digest, config_digest=config_digest, layers=layers, base=base), sbom
