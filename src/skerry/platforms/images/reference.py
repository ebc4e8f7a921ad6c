"""The name of an image: ``REGISTRY/NAME[:TAG][@DIGEST]``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from skerry.errors import ConfigError

DOCKER_HUB = "registry-1.docker.io"
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is.

    Args:
        registry: Its host, with a port where it has one.
        name: The repository in it.
        tag: ``latest`` where none was given.
        digest: ``sha256:HEX``; empty where none was given.
    """

    registry: str
    name: str
    tag: str = "latest"
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference that a person wrote; one without a registry is of Docker Hub.

        Raises:
            ConfigError: it is none.

        Example:
            ``Reference.parse("registry.example.com:5000/team/app:1")``
        """
        rest, _, digest = text.partition("@")
        first, slash, others = rest.partition("/")
        if slash and (any(sign in first for sign in ".:") or first == "localhost"):
            registry, path = first, others
        else:
            registry, path = DOCKER_HUB, rest if slash else f"library/{rest}"
        if registry in ("docker.io", "index.docker.io"):
            registry, path = DOCKER_HUB, path if "/" in path else f"library/{path}"
        name, _, tag = path.partition(":")
        tag = tag or "latest"
        if not _NAME.fullmatch(name) or not _TAG.fullmatch(tag) or (digest and not _DIGEST.fullmatch(digest)):
            raise ConfigError(
                f"{text!r} names no image", hint="write REGISTRY/NAME[:TAG], in lower case, like ghcr.io/me/digits:1"
            )
        return cls(registry, name, tag, digest)

    @property
    def is_local(self) -> bool:
        """Whether the registry is this machine itself, so that plain HTTP shows nothing to anyone."""
        host = self.registry.rpartition(":")[0] or self.registry
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return False

    def pinned(self, digest: str) -> str:
        """Return the name of exactly one image."""
        return f"{self._place}@{digest}"

    def __str__(self) -> str:
        return self.pinned(self.digest) if self.digest else f"{self._place}:{self.tag}"

    @property
    def _place(self) -> str:
        return f"{'docker.io' if self.registry == DOCKER_HUB else self.registry}/{self.name}"
