"""How a function's scaling is told to Knative: the annotations of its revisions.

Source: Knative Serving, ``pkg/apis/autoscaling/annotation_validation.go``: what it takes, and what not.
"""

from __future__ import annotations

import math
from typing import Final

from skerry.errors import SpecError
from skerry.platforms.kubernetes.rendering import FunctionToRender
from skerry.spec import ClusterSettings, Scale

PREFIX: Final = "autoscaling.knative.dev"
DEADLINE: Final = "serving.knative.dev/progress-deadline"
CLASS: Final = "kpa.autoscaling.knative.dev"
RATE_TARGET: Final = 200.0
SHORTEST_WINDOW_S, LONGEST_S = 6, 3600
PULL_S = 600  # for the image, beside the start
DEFAULTS: Final = Scale()


def scaling_annotations(function: FunctionToRender, settings: ClusterSettings) -> dict[str, str]:
    """Return the annotations of a function's revisions.

    Raises:
        SpecError: a value is one that Knative does not take.
    """
    spec, scale = function.spec, function.spec.scale
    found = {
        "class": CLASS,
        "metric": scale.metric,
        "target": _number(_target(function)),
        "target-utilization-percentage": _number(max(1.0, scale.utilization * 100)),
        "window": _seconds("scale.window", scale.window_s, function, low=SHORTEST_WINDOW_S),
        "min-scale": str(scale.min),
        "max-scale": str(scale.max),
        "initial-scale": str(_initial(scale, settings)),
        # Always, for without it a cluster's own choice would count, and Knative's is none at all.
        "scale-to-zero-pod-retention-period": _seconds("scale.grace", scale.grace_s, function),
        "target-burst-capacity": str(scale.burst),
    }
    if scale.panic_window is not None:
        found["panic-window-percentage"] = _percent(
            "scale.panic_window", scale.panic_window_s / scale.window_s, function
        )
    if scale.panic_threshold != DEFAULTS.panic_threshold:
        found["panic-threshold-percentage"] = _number(scale.panic_threshold * 100)
    if scale.delay_s:
        found["scale-down-delay"] = _seconds("scale.delay", scale.delay_s, function)
    activation = min(scale.activation, scale.max) if scale.max else scale.activation
    if activation > max(1, scale.min):  # what is kept anyway is no less, and Knative takes no activation below that
        found["activation-scale"] = str(activation)
    deadline = {DEADLINE: f"{math.ceil(spec.start_timeout_s) + PULL_S}s"}
    return {**{f"{PREFIX}/{key}": value for key, value in found.items()}, **deadline}


def at_once(function: FunctionToRender) -> int:
    """Return how many requests a container handles at a time: those of its worker."""
    spec, batch = function.spec, function.batch
    if spec.concurrency > 1 or batch is None:
        return spec.concurrency
    return batch.max_size


def _initial(scale: Scale, settings: ClusterSettings) -> int:
    """Return how many containers a new revision starts with: Knative wants to see one, unless its cluster does not."""
    least = 0 if settings.zero_initial_scale else 1
    return max(least, min(scale.initial, scale.max) if scale.max else scale.initial)


def _target(function: FunctionToRender) -> float:
    scale = function.spec.scale
    if scale.target is not None:
        return scale.target
    return RATE_TARGET if scale.metric == "rps" else float(at_once(function))


def _seconds(key: str, value_s: float, function: FunctionToRender, *, low: int = 0) -> str:
    if not low <= value_s <= LONGEST_S or value_s != int(value_s):
        raise SpecError(
            f"function {function.spec.name!r}: {key} is {value_s:g} s, and Knative takes whole seconds from {low} to "
            f"{LONGEST_S}",
            field=key,
        )
    return f"{int(value_s)}s"


def _percent(key: str, ratio: float, function: FunctionToRender) -> str:
    if not 0.01 <= ratio <= 1:
        raise SpecError(
            f"function {function.spec.name!r}: {key} is {ratio * 100:g} % of scale.window, Knative takes 1 to 100 %",
            field=key,
        )
    return _number(ratio * 100)


def _number(value: float) -> str:
    return f"{round(value, 6):.6f}".rstrip("0").rstrip(".")
