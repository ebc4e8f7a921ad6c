"""Which version of a model to serve: the cheapest that was measured to be quick and right enough.

What is compared are the profiles that optimising has put into manifests: an optimised version's own figures, and those
of the version that it was made from, measured in turns with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError
from skerry.scaling.variants import Choice, Variant, choose

if TYPE_CHECKING:
    from skerry.store.models import ModelRepository

RATIOS = frozenset({"accuracy", "agreement"})  # scores that say what share of the answers is right
FIGURES = ("size_bytes", "load_ms", "latency_1_ms", "latency_32_ms", "score")


def measured_variants(repository: ModelRepository, name: str, *, is_loaded: bool = True) -> dict[int, Variant]:
    """Return the versions of a model that have measured figures, by number.

    Args:
        repository: Where the model is.
        name: Its name.
        is_loaded: Whether answers of running workers are meant; else the load before the first one counts too.
    """
    found: dict[int, Variant] = {}
    for version in repository.versions(name):
        manifest = repository.manifest(name, version)
        profile = manifest.about.get("profile")
        if not isinstance(profile, Mapping):
            continue
        for number, side in ((manifest.parent, "before"), (version, "after")):
            if number is not None:
                variant = _variant(f"{name}@{number}", profile, side, manifest.created_at, is_loaded=is_loaded)
                if variant is not None:
                    found[number] = variant  # what was measured last
    return found


def choose_version(
    repository: ModelRepository,
    name: str,
    *,
    objective_s: float,
    floor: float | None = None,
    rows: int = 1,
    is_loaded: bool = True,
) -> tuple[int, Choice]:
    """Return the version that costs least of those that meet an objective and a floor, and why the others do not.

    Args:
        repository: Where the model is.
        name: Its name.
        objective_s: Seconds in which a request is to be answered, above 0.
        floor: Least share of right answers, 0 to 1; none where any will do.
        rows: Rows of a request, from 1.
        is_loaded: Whether answers of running workers are meant; else the load before the first one counts too.

    Raises:
        ModelRejectedError: no version meets both; the message says what each lacks.
    """
    variants = measured_variants(repository, name, is_loaded=is_loaded)
    known = set(repository.versions(name))
    offered = {number: variant for number, variant in variants.items() if number in known}
    choice = choose(list(offered.values()), objective_s, floor, time.time(), size=rows)
    for number, variant in offered.items():
        if variant is choice.variant:
            return number, choice
    if not offered:
        raise ModelRejectedError(
            f"model {name}: no version has measured figures; skerry models optimise measures what it makes"
        )
    raise ModelRejectedError(f"model {name}: no version is good enough: {choice.explain()}")


def _variant(
    name: str, profile: Mapping[str, Any], side: str, measured_at: float, *, is_loaded: bool
) -> Variant | None:
    """Return one side of a profile; none where it is not of the form that optimising writes."""
    figures: Any = profile.get(side)
    try:
        values = {key: float(figures[key]) for key in FIGURES}
    except (KeyError, TypeError, ValueError):
        return None
    return Variant(
        name=name,
        latency_s={1: values["latency_1_ms"] / 1000, 32: values["latency_32_ms"] / 1000},
        accuracy_ratio=values["score"] if profile.get("score") in RATIOS else None,
        memory_bytes=int(values["size_bytes"]),
        load_s=values["load_ms"] / 1000,
        measured_at=measured_at,
        is_loaded=is_loaded,
    )
