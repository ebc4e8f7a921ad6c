"""Taking an image to a registry: only what is not there already travels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skerry.platforms.images.base import Base
from skerry.platforms.images.blobs import Blobs
from skerry.platforms.images.layer import Layer
from skerry.platforms.images.reference import Reference
from skerry.platforms.images.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that has been put together here.

    Args:
        manifest: As it travels.
        digest: Of the manifest.
        config_digest: Of the configuration, which is in the blobs.
        layers: From the lowest; those of the base may be in its registry only.
        base: What is below the app's own layers.
    """

    manifest: bytes
    digest: str
    config_digest: str
    layers: tuple[Layer, ...]
    base: Base

    @property
    def own_bytes(self) -> int:
        """Size of the layers above the base, as they travel."""
        return sum(layer.size_bytes for layer in self.layers[len(self.base.layers) :])


def push(image: Image, to: Reference, blobs: Blobs, *, insecure: bool, tell: Callable[[str], None]) -> int:
    """Push an image and return how many bytes were sent.

    Args:
        image: The image.
        to: Its name there.
        blobs: Where its contents are.
        insecure: Whether plain HTTP is allowed.
        tell: Called with each line that says how it is getting on.

    Raises:
        UnauthorizedError: the registry wants a login.
        TransportError: the registry does not answer.
    """
    registry = Registry(to, insecure=insecure)
    sent = 0
    for layer in image.layers:
        if registry.has(layer.digest) or _mounted(registry, image.base, layer.digest, to):
            continue
        if not blobs.has(layer.digest):
            fetch_base(image.base, blobs, tell, only=layer.digest, insecure=insecure)
        tell(f"pushing {layer.title}, {layer.size_bytes / 1e6:.1f} MB")
        sent += registry.push(layer.digest, blobs.path(layer.digest))
    if not registry.has(image.config_digest):
        sent += registry.push(image.config_digest, blobs.path(image.config_digest))
    registry.put_manifest(image.manifest)
    return sent + len(image.manifest)


def fetch_base(
    base: Base, blobs: Blobs, tell: Callable[[str], None], *, only: str | None = None, insecure: bool = False
) -> None:
    """Get the layers of a base that are in its registry only.

    Args:
        base: The base.
        blobs: Where to put them.
        tell: Called with each line that says how it is getting on.
        only: The digest of the one layer that is wanted; all by default.
        insecure: Whether plain HTTP is allowed.
    """
    if base.origin is None:
        return
    registry = Registry(base.origin, insecure=insecure)
    for layer in base.layers:
        if only in (None, layer.digest) and not blobs.has(layer.digest):
            tell(f"getting a layer of {base.name}, {layer.size_bytes / 1e6:.1f} MB")
            registry.fetch(layer.digest, blobs, size_bytes=layer.size_bytes)


def _mounted(registry: Registry, base: Base, digest: str, to: Reference) -> bool:
    """Whether a layer of the base could be taken over inside of the registry."""
    if base.origin is None or base.origin.registry != to.registry or base.origin.name == to.name:
        return False
    return any(layer.digest == digest for layer in base.layers) and registry.mount(digest, base.origin)
