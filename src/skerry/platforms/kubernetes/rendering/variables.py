"""The environment variables of a container, and how options reach the runtime in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skerry.platforms.kubernetes.api.quoting import quote
from skerry.platforms.kubernetes.rendering.app import FunctionToRender
from skerry.spec import RUNTIME, SET_VARIABLE, Batch, ClusterSettings, FunctionSpec, function_spec, support_matrix

INPUTS = "/tmp/skerry/inputs"  # noqa: S108  # a volume of the container's own
MODEL_CACHE = "/tmp/skerry/models"  # noqa: S108  # a volume of the container's own


def variables(function: FunctionToRender, settings: ClusterSettings) -> dict[str, str]:
    """Return the variables of a function's container, without those that the platform sets."""
    found = {"HOME": "/tmp"}  # noqa: S108  # the one place that can be written: libraries keep caches there
    if function.spec.model is not None:
        found["SKERRY_MODEL_CACHE"] = MODEL_CACHE
        if settings.models is not None:
            found["SKERRY_MODELS"] = settings.models
    if settings.objects is not None:
        found["SKERRY_INPUTS"] = INPUTS
        found["SKERRY_INPUTS_LIMIT"] = f"{settings.tmp_bytes // 2}B"  # the rest is for models, and for handlers
        found["SKERRY_INPUTS_STORE"] = settings.objects
    found |= dict(sorted(function.spec.env.items()))
    changed = changed_options(function)
    return {**found, SET_VARIABLE: changed} if changed else found


def changed_options(function: FunctionToRender) -> str:
    """Return as ``SKERRY_SET`` what the options of a function are beyond those that its decorator gave.

    The image holds the app with its decorators; what ``skerry.toml``, flags and the environment of the deploying
    command say is decided before, and has to reach the runtime. Options that only the platform honours stay out.
    """
    name = function.spec.name
    declared = function_spec({"name": name, **function.declared}, where=f"function {name!r}").to_dict()
    wanted = function.spec.to_dict()
    found: dict[str, Any] = {}
    for option, platforms in support_matrix(FunctionSpec).items():
        if RUNTIME in platforms and option not in ("name", "env", "batch") and wanted[option] != declared[option]:
            found[option] = wanted[option]
    found |= _changed("env", wanted["env"], declared["env"])
    if wanted["batch"] is not None:
        found |= _changed("batch", wanted["batch"], declared["batch"] or Batch().to_dict())
        if declared["batch"] is None and not any(option.startswith("batch.") for option in found):
            found["batch.max_size"] = wanted["batch"]["max_size"]  # so that there is a batch at all
    return " ".join(f"{name}.{option}={_toml(value)}" for option, value in found.items())


def _changed(group: str, wanted: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    missing = object()
    return {f"{group}.{key}": value for key, value in wanted.items() if declared.get(key, missing) != value}


def _toml(value: Any) -> str:
    """Return a value as TOML, without white space: settings are divided by it."""
    if isinstance(value, str):
        return quote(value, escape_blanks=True)
    return str(value).lower() if isinstance(value, bool) else repr(value)
