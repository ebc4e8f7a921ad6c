"""An app as it is rendered: its image, and its functions with the options that were decided for the cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skerry.errors import NameTakenError, SpecError
from skerry.platforms.kubernetes.api.objects import object_name
from skerry.spec import Batch, FunctionSpec

# What Knative sets in every container, and refuses in a Service; Skerry sets the last itself.
RESERVED = frozenset({"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION", "SKERRY_FUNCTION", "SKERRY_SET"})
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionToRender:
    """One function.

    Args:
        spec: Its options on the platform; ``model`` with the version that the revision is to serve.
        declared: Its options as the decorator gave them: what the container finds by itself in the image.
        takes_items: Whether its handler takes `skerry.Items`, and so has batches without ``batch``.

    Raises:
        SpecError: a variable of ``env`` cannot be set in a container.
    """

    spec: FunctionSpec
    declared: Mapping[str, Any] = field(default_factory=dict)
    takes_items: bool = False

    def __post_init__(self) -> None:
        for name in self.spec.env:
            if name in RESERVED or not VARIABLE.fullmatch(name):
                raise SpecError(
                    f"function {self.spec.name!r}: env: {name!r} cannot be set in a container of a cluster"
                    + ("; the platform sets it" if name in RESERVED else ""),
                    field="env",
                )

    @property
    def batch(self) -> Batch | None:
        """Bounds of its batches; none where requests are handled singly."""
        return Batch() if self.spec.batch is None and self.takes_items else self.spec.batch


@dataclass(frozen=True, slots=True, kw_only=True)
class AppToRender:
    """One app.

    Args:
        name: The app's name.
        image: The image with its digest, ``HOST/NAME@sha256:...``.
        target: Where the app is in the image, as ``python -m skerry.runtime`` reads it: ``app.py:app``.
        functions: Its functions, in any order.
        source: Digest of the source, for people; none where it is not known.

    Raises:
        NameTakenError: two functions would be one object.
    """

    name: str
    image: str
    target: str
    functions: tuple[FunctionToRender, ...]
    source: str | None = None

    def __post_init__(self) -> None:
        names: dict[str, str] = {}
        for function in self.functions:
            name = function.spec.name
            other = names.setdefault(object_name(name), name)
            if other != name:
                raise NameTakenError(f"functions {other!r} and {name!r} are both {object_name(name)!r} on a cluster")
        ordered = sorted(self.functions, key=lambda function: function.spec.name)
        object.__setattr__(self, "functions", tuple(ordered))
