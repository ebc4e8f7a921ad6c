"""Apps, revisions and deployments as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from skerry.engine.records.model_pin import ModelPin


@dataclass(frozen=True, kw_only=True, slots=True)
class AppRecord:
    """A deployed app.

    Args:
        name: The app's name.
        target: What the user named, such as ``/home/ada/news/app.py:app``.
        source_digest: Digest of the source that runs.
        source: How to load it, plain JSON values (``Source.to_dict``).
        environment_digest: Digest of the Python environment, or ``engine``.
        requirements: What the app needs installed.
        imports: Libraries that the zygote imports before it forks.
        deployed_at: Unix time of the last deployment that changed the app, seconds.
        event_sources: Where events come from, by name: ``Source.to_dict()``.
    """

    name: str
    target: str
    source_digest: str
    source: Mapping[str, Any]
    environment_digest: str
    requirements: tuple[str, ...]
    imports: tuple[str, ...]
    deployed_at: float = 0.0
    event_sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisionDraft:
    """What one function of an app becomes by a deployment.

    Args:
        function: The function's name.
        spec: ``FunctionSpec.to_dict()``.
        schema: JSON Schema of input and output.
        modules: Modules worth importing before a fork; a hint, a change of it alone makes no new revision.
        model: The version that its model means now; none without a model.
    """

    function: str
    spec: Mapping[str, Any]
    schema: Mapping[str, Any]
    modules: tuple[str, ...] = ()
    model: ModelPin | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisionRecord:
    """An immutable deployed version of a function, named ``FUNCTION-00001`` and so on."""

    name: str
    function: str
    number: int
    app: str
    source_digest: str
    environment_digest: str
    spec: Mapping[str, Any]
    schema: Mapping[str, Any]
    modules: tuple[str, ...]
    created_at: float
    state: Literal["prepared", "active", "retired"]  # what is only prepared is not on record
    model: ModelPin | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What a deployment did.

    Args:
        app: The app as it is now.
        active: The app's revisions, one per function, by function name.
        created: Those of them that are new.
        retired: Revisions that no longer serve: replaced ones and those of functions that the app lost.
    """

    app: AppRecord
    active: tuple[RevisionRecord, ...]
    created: tuple[RevisionRecord, ...]
    retired: tuple[RevisionRecord, ...]

    @property
    def changed(self) -> bool:
        """Whether any function serves differently than before."""
        return bool(self.created or self.retired)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptDeployment:
    """What an app was, or is, since one of its deployments.

    Args:
        number: Counts the app's deployments, from 1; numbers of deployments that were gone back from are given again.
        app: The app.
        drafts: Its functions, without the versions that their models meant then.
        deployed_at: Unix time of that deployment, seconds.
    """

    number: int
    app: AppRecord
    drafts: tuple[RevisionDraft, ...]
    deployed_at: float
