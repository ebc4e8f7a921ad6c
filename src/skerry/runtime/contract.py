"""What a platform says through Knative's runtime contract, and what the command line names: known before any import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from skerry.errors import AppImportError
from skerry.runtime.module_files import module_file
from skerry.runtime.target import DEFAULT_ATTRIBUTE, Target
from skerry.spec.names import PROJECT_FILE

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
    """Return what ``module[:app]`` or ``FILE.py[:app]`` names, without importing it.

    Where the current folder holds a ``skerry.toml``, as in an image of a project, a file below it belongs to that
    project. ``FOLDER/module`` names a module that is imported from a folder.

    Raises:
        AppImportError: the folder has no such module.
    """
    place, _, attribute = text.partition(":")
    named = attribute or DEFAULT_ATTRIBUTE
    here = os.getcwd()
    if place.endswith(".py"):
        path = os.path.realpath(place)
        root, file = os.path.split(path)
        module = file.removesuffix(".py").replace("-", "_")
        if path.startswith(os.path.join(here, "")) and os.path.isfile(os.path.join(here, PROJECT_FILE)):
            root, file = here, os.path.relpath(path, here)
        return Target(root=root, file=file, module=module, attribute=named, environment={})
    folder, _, module = place.rpartition("/")
    if not folder:
        return Target(root=here, file=None, module=place, attribute=named, environment={})
    found = module_file(folder, module)
    if found is None:
        raise AppImportError(f"there is no module {module!r} in {os.path.abspath(folder)}")
    file = os.path.join(folder, found)
    return Target(root=here, file=file, module=module, attribute=named, environment={})
