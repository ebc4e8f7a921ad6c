"""What is mounted into a function's container, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from skerry.errors import SpecError

OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
KINDS: Final = ("pvc", "configmap", "secret")
# What the container brings itself, or cannot do without.
TAKEN: Final = ("/", "/tmp", "/app", "/proc", "/sys", "/dev", "/etc", "/usr", "/var")  # noqa: S108  # names only


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One mount of a container.

    Args:
        path: Absolute path in the container.
        kind: ``pvc`` (a PersistentVolumeClaim), ``configmap`` or ``secret``.
        name: The object's name, in the function's namespace.
        read_only: Whether it cannot be written there; ConfigMaps and Secrets never can.

    Example:
        ``Volume.parse("/data", "pvc/measurements:ro")``
    """

    path: str
    kind: str
    name: str
    read_only: bool

    @classmethod
    def parse(cls, path: str, source: str) -> Volume:
        """Return the mount of ``KIND/NAME`` or ``pvc/NAME:ro`` at a path.

        Raises:
            SpecError: one of the two is not of its form.
        """
        parts = path.split("/")
        if parts[0] or len(parts) < 2 or any(part in ("", ".", "..") for part in parts[1:]) or ":" in path:
            raise SpecError(f"volumes: {path!r}: write an absolute path, like /data", field="volumes")
        if path in TAKEN:
            raise SpecError(
                f"volumes: {path!r} is the container's own; write another path, like /data", field="volumes"
            )
        reference, colon, mode = source.partition(":")
        kind, _, name = reference.partition("/")
        if kind not in KINDS or not OBJECT_NAME.fullmatch(name) or (colon and mode != "ro"):
            raise SpecError(
                f"volumes: {path} = {source!r}: write pvc/NAME, pvc/NAME:ro, configmap/NAME or secret/NAME",
                field="volumes",
            )
        return cls(path=path, kind=kind, name=name, read_only=bool(colon) or kind != "pvc")
