"""Which version of a model a revision serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPin:
    """A version of a model, as a revision was made for it.

    Args:
        name: The model's name in the store.
        version: Its number.
        digest: Of its manifest, which names its files by their digests.
        manifest: The manifest's JSON, so that the version can be served when the store does not answer.
    """

    name: str
    version: int
    digest: str
    manifest: str

    @property
    def identity(self) -> tuple[str, int, str]:
        """What makes revisions differ."""
        return self.name, self.version, self.digest

    def to_dict(self) -> dict[str, Any]:
        """Return the pin as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelPin:
        """Return what `to_dict` was made of."""
        return cls(**values)
