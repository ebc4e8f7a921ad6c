"""What a platform says through Knative's runtime contract, and what the command line names: known before any import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from skerry.runtime.target import DEFAULT_ATTRIBUTE, Target

FUNCTION_VARIABLE = "SKERRY_FUNCTION"  # in all workers: the function's name, whatever a platform calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What the platform says through Knative's runtime contract.

    Args:
        host: Address to listen on; every interface inside a platform's container, loopback elsewhere.
        port: Port to listen on.
        service: Name of the service, if the platform gives one.
        revision: Name of the revision, if the platform gives one.
    """

    host: str
    port: int
    service: str | None
    revision: str | None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Contract:
        """Return the contract that environment variables state.

        Raises:
            ValueError: ``PORT`` is no port.
        """
        service = environment.get("K_SERVICE")
        port = int(environment.get("PORT", "8080"))
        if not 0 <= port <= 65535:
            raise ValueError(f"{port} is no port")
        return cls(
            host="0.0.0.0" if service else "127.0.0.1",  # noqa: S104  # a container's only way in is its port
            port=port,
            service=service,
            revision=environment.get("K_REVISION"),
        )

    def variables(self, function: str) -> dict[str, str]:
        """Return the variables of a function's workers."""
        named = identity(self.service or function, self.revision or f"{function}-00001")
        return {**named, "PORT": str(self.port)}


def identity(function: str, revision: str) -> dict[str, str]:
    """Return the variables by which a worker knows who it is."""
    return {"K_SERVICE": function, "K_CONFIGURATION": function, "K_REVISION": revision}


def parse_target(text: str) -> Target:
    """Return what ``module[:app]`` or ``FILE.py[:app]`` names, without importing it."""
    place, _, attribute = text.partition(":")
    named = attribute or DEFAULT_ATTRIBUTE
    if place.endswith(".py"):
        root, file = os.path.split(os.path.realpath(place))
        module = file.removesuffix(".py").replace("-", "_")
        return Target(root=root, file=file, module=module, attribute=named, environment={})
    return Target(root=os.getcwd(), file=None, module=place, attribute=named, environment={})
