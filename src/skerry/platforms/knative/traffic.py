"""Which revision of a function gets which share of its requests: pure decisions on what the cluster holds.

The words are those of the model store: a *candidate* is tried beside the revision that is *serving*, with a weight; it
is promoted, or the trial is ended; a rollback goes back to the revision before. Knative keeps them as tags of targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from skerry.errors import ConfigError, PlatformError
from skerry.platforms.kubernetes.states import condition

SERVING: Final = "serving"
CANDIDATE: Final = "candidate"
GENERATION_LABEL = "serving.knative.dev/configurationGeneration"

Target = dict[str, Any]
# What a deployment asks for: the newest revision that is ready gets everything.
NEWEST: Final[tuple[Mapping[str, Any], ...]] = ({"latestRevision": True, "percent": 100},)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision of a function.

    Args:
        name: Its name on the cluster.
        generation: Its number among those of the function; a newer one has a higher one.
        ready: Whether it can serve.
        reason: Why not, in the cluster's words.
    """

    name: str
    generation: int
    ready: bool
    reason: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Revision:
        """Return the revision that an object of the cluster describes."""
        metadata = found["metadata"]
        ready = condition(found, "Ready")
        return cls(
            name=metadata["name"],
            generation=int(metadata.get("labels", {}).get(GENERATION_LABEL, 0)),
            ready=ready.get("status") == "True",
            reason=str(ready.get("message") or ready.get("reason") or ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who gets a function's requests.

    Args:
        serving: The revision that serves; none before one was ready.
        candidate: The one that is tried beside it; none when no trial is on.
        weight_ratio: The candidate's share.
    """

    serving: str | None
    candidate: str | None = None
    weight_ratio: float = 0.0

    @classmethod
    def of(cls, service: Mapping[str, Any]) -> Split:
        """Return the split that a Knative Service says it makes now."""
        targets = service.get("status", {}).get("traffic") or []
        tried = [target for target in targets if target.get("tag") == CANDIDATE]
        others = [target for target in targets if target.get("tag") != CANDIDATE]
        served = max(others, key=lambda target: int(target.get("percent") or 0), default=None)
        serving = None if served is None else str(served["revisionName"])
        if not tried or tried[0]["revisionName"] == serving:
            return cls(serving=serving)
        return cls(
            serving=serving,
            candidate=str(tried[0]["revisionName"]),
            weight_ratio=int(tried[0].get("percent") or 0) / 100,
        )


def revisions_of(found: Iterable[Mapping[str, Any]]) -> list[Revision]:
    """Return the revisions that objects of the cluster describe, the newest first."""
    return sorted(map(Revision.of, found), key=lambda revision: (revision.generation, revision.name), reverse=True)


def try_candidate(
    function: str, split: Split, revisions: Iterable[Revision], *, candidate: str, weight_ratio: float
) -> list[Target]:
    """Return the targets that give a candidate its share.

    Args:
        function: Its name, for messages.
        split: Who gets the requests now.
        revisions: Those of the function.
        candidate: Name of the revision to try.
        weight_ratio: Its share, 0 to 1, in whole hundredths; with 0 it is reached under the tag's own address only.

    Raises:
        ConfigError: no such revision is there and ready, it serves already, or the share is not one.
    """
    known = {revision.name: revision for revision in revisions}
    if candidate not in known:
        there = ", ".join(known) or "none"
        raise ConfigError(f"function {function!r} has no revision {candidate!r}; there are: {there}", field="candidate")
    if candidate == split.serving:
        raise ConfigError(f"function {function!r}: revision {candidate!r} serves already", field="candidate")
    if not known[candidate].ready:
        reason = known[candidate].reason or "it is starting"
        raise ConfigError(f"function {function!r}: revision {candidate!r} is not ready: {reason}", field="candidate")
    if split.serving is None:
        raise PlatformError(f"function {function!r}: no revision serves yet; there is nothing to try one beside")
    return _both(split.serving, candidate, weight_ratio)


def hold(split: Split) -> list[Target]:
    """Return the targets that keep a new revision from getting requests until more is said."""
    return [dict(target) for target in NEWEST] if split.serving is None else [_only(split.serving)]


def after_deployment(split: Split, *, latest: str, weight_ratio: float | None) -> list[Target]:
    """Return the targets for when a deployment's new revision is ready.

    Args:
        split: Who got the requests before.
        latest: The newest revision that is ready.
        weight_ratio: Share that it is to get beside what served before; none means all.
    """
    if weight_ratio is None or split.serving in (None, latest):
        return [dict(target) for target in NEWEST]
    return _both(str(split.serving), latest, weight_ratio)


def promote(function: str, split: Split) -> list[Target]:
    """Return the targets that give the candidate everything.

    Raises:
        ConfigError: no candidate is being tried.
    """
    if split.candidate is None:
        raise ConfigError(
            f"function {function!r} has no candidate to promote",
            hint=f"try one first: skerry traffic {function} --candidate REVISION --weight 10%",
        )
    return [_only(split.candidate)]


def end_trial(function: str, split: Split) -> list[Target]:
    """Return the targets that give the serving revision everything back.

    Raises:
        ConfigError: no candidate is being tried.
    """
    if split.candidate is None or split.serving is None:
        raise ConfigError(f"function {function!r}: one revision gets all requests; there is no trial to end")
    return [_only(split.serving)]


def roll_back(function: str, split: Split, revisions: Iterable[Revision]) -> list[Target]:
    """Return the targets that give everything to the newest ready revision before the one that serves.

    Raises:
        ConfigError: there is none.
    """
    ordered = sorted(revisions, key=lambda revision: revision.generation, reverse=True)
    serving = next((revision for revision in ordered if revision.name == split.serving), None)
    limit = None if serving is None else serving.generation
    earlier = [one for one in ordered if one.ready and (limit is None or one.generation < limit)]
    if not earlier:
        raise ConfigError(
            f"function {function!r} has no earlier revision that is ready",
            hint=f"`skerry traffic {function}` lists its revisions; deploy the earlier source again",
        )
    return [_only(earlier[0].name)]


def percent_of(weight_ratio: float) -> int:
    """Return a share as Knative takes it.

    Raises:
        ConfigError: it is not one of whole hundredths.
    """
    percent = round(weight_ratio * 100)
    if not 0 <= weight_ratio <= 1 or abs(weight_ratio * 100 - percent) > 1e-9:
        raise ConfigError(
            f"weight {weight_ratio:.6g}: Knative splits by whole per cents, from 0% to 100%", field="weight"
        )
    return percent


def _both(serving: str, candidate: str, weight_ratio: float) -> list[Target]:
    percent = percent_of(weight_ratio)
    return [
        {"revisionName": serving, "percent": 100 - percent, "tag": SERVING},
        {"revisionName": candidate, "percent": percent, "tag": CANDIDATE},
    ]


def _only(revision: str) -> Target:
    return {"revisionName": revision, "percent": 100, "tag": SERVING}
