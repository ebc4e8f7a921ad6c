"""How the number of workers of a function follows its load, in Knative's words and with Knative's defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from skerry.errors import SpecError
from skerry.spec.option import check_range, check_types, option
from skerry.spec.quantity import parse_duration

ANNOTATION = "annotation `autoscaling.knative.dev/{}`"
SCALER = "HorizontalPodAutoscaler `{}`"
UNLIMITED_BURST = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Bounds and behaviour of the reactive autoscaler, and the function's share of the machine.

    Example:
        ``Scale(min=0, max=4, target=1, window="60s", grace="30s")``

    Source: Knative Serving, ``config-autoscaler``; the defaults are the same. ``buffer`` is Modal's
    ``buffer_containers``; ``share`` is Skerry's own.
    """

    min: int = option(
        "workers that are always kept",
        runtime=None,
        knative=ANNOTATION.format("min-scale"),
        kubernetes=SCALER.format("minReplicas") + "; at least 1, there is no scale to zero",
        default=0,
    )
    max: int = option(
        "most workers; 0 means as many as the machine has room for",
        runtime=None,
        knative=ANNOTATION.format("max-scale"),
        kubernetes=SCALER.format("maxReplicas") + "; 0 means `max_replicas` of the platform's table",
        default=0,
    )
    initial: int = option(
        "workers started when a revision is deployed, never more than max",
        runtime=None,
        knative=ANNOTATION.format("initial-scale") + "; 0 becomes 1 without `zero_initial_scale`",
        kubernetes="as many as `minReplicas`; more is refused",
        default=1,
    )
    activation: int = option(
        "fewest workers while there is load, from the first request after zero on; never more than max",
        runtime=None,
        knative=ANNOTATION.format("activation-scale"),
        kubernetes=SCALER.format("minReplicas") + "; the containers are kept without load too",
        default=1,
    )
    buffer: int = option(
        "idle workers kept beside those that the load calls for, while there is load",
        runtime=None,
        knative=None,
        kubernetes=None,
        default=0,
    )
    metric: Literal["concurrency", "rps"] = option(
        "what the workers follow: requests waiting and running, or requests per second",
        runtime=None,
        knative=ANNOTATION.format("metric"),
        kubernetes=None,
        default="concurrency",
    )
    target: float | None = option(
        "what one worker is to bear: requests in flight, at most the function's concurrency, or requests per second "
        "with metric rps; none means the function's concurrency, or 200 per second",
        runtime=None,
        knative=ANNOTATION.format("target"),
        kubernetes=None,
        default=None,
    )
    utilization: float = option(
        "share of the target to fill, in (0, 1]",
        runtime=None,
        knative=ANNOTATION.format("target-utilization-percentage"),
        kubernetes=SCALER.format("averageUtilization") + " of the processors that are asked for",
        default=0.7,
    )
    window: str = option(
        "stable window",
        runtime=None,
        knative=ANNOTATION.format("window") + "; 6s or more, whole seconds",
        kubernetes=SCALER.format("stabilizationWindowSeconds") + " when shrinking, with `delay` added",
        default="60s",
    )
    panic_window: str | None = option(
        "panic window; none means a tenth of the stable one",
        runtime=None,
        knative=ANNOTATION.format("panic-window-percentage") + "; 1 to 100 % of the window",
        kubernetes=None,
        default=None,
    )
    panic_threshold: float = option(
        "load over capacity at which panic begins, as a ratio",
        runtime=None,
        knative=ANNOTATION.format("panic-threshold-percentage"),
        kubernetes=None,
        default=2.0,
    )
    burst: int = option(
        "requests at once that the ready workers should bear on top of the load; -1 means without limit; reported as "
        "excess burst capacity, and no workers are started for it",
        runtime=None,
        knative=ANNOTATION.format("target-burst-capacity"),
        kubernetes=None,
        default=211,
    )
    up_rate: float = option(
        "most growth per decision, as a ratio",
        runtime=None,
        knative=None,
        kubernetes=SCALER.format("scaleUp") + ", percent in 15 s",
        default=1000.0,
    )
    down_rate: float = option(
        "most shrinking per decision, as a ratio",
        runtime=None,
        knative=None,
        kubernetes=SCALER.format("scaleDown") + ", percent in 15 s",
        default=2.0,
    )
    delay: str = option(
        "how long the load must stay low before workers go",
        runtime=None,
        knative=ANNOTATION.format("scale-down-delay") + "; whole seconds",
        kubernetes=SCALER.format("stabilizationWindowSeconds") + " when shrinking, with `window` added",
        default="0s",
    )
    grace: str = option(
        "how long the last worker stays once the stable window is empty",
        runtime=None,
        knative=ANNOTATION.format("scale-to-zero-pod-retention-period") + "; at most 1h",
        kubernetes="no end: the last container stays, there is no scale to zero",
        default="30s",
    )
    share: float = option(
        "weight of the function when functions want more than the machine has; twice the share, twice the workers",
        runtime=None,
        knative=None,
        kubernetes=None,
        default=1.0,
    )

    window_s: float = field(init=False)
    panic_window_s: float = field(init=False)
    delay_s: float = field(init=False)
    grace_s: float = field(init=False)

    def __post_init__(self) -> None:
        check_types(self)
        self._read_durations()
        self._check_counts()
        self._check_ratios()

    def _read_durations(self) -> None:
        window_s = parse_duration(self.window, key="window")
        check_range("window (seconds)", window_s, low=1.0, high=3600.0)
        panic = self.panic_window
        panic_window_s = window_s / 10 if panic is None else parse_duration(panic, key="panic_window")
        check_range("panic_window (seconds)", panic_window_s, low=0.05, high=window_s)
        object.__setattr__(self, "window_s", window_s)
        object.__setattr__(self, "panic_window_s", panic_window_s)
        object.__setattr__(self, "delay_s", parse_duration(self.delay, key="delay"))
        object.__setattr__(self, "grace_s", parse_duration(self.grace, key="grace"))
        check_range("delay (seconds)", self.delay_s, low=0.0, high=3600.0)

    def _check_counts(self) -> None:
        for key, low in (("min", 0), ("max", 0), ("initial", 0), ("activation", 1), ("buffer", 0)):
            check_range(key, getattr(self, key), low=low)
        check_range("burst", self.burst, low=UNLIMITED_BURST)
        if self.max and self.min > self.max:
            raise SpecError(f"min = {self.min}: must not be above max = {self.max}", field="min")

    def _check_ratios(self) -> None:
        if self.target is not None:
            check_range("target", self.target, low=0.01)
        if not 0 < self.utilization <= 1:
            raise SpecError(f"utilization = {self.utilization:g}: must be above 0 and at most 1", field="utilization")
        check_range("panic_threshold", self.panic_threshold, low=1.1, high=10.0)
        check_range("share", self.share, low=0.01, high=100.0)
        for key in ("up_rate", "down_rate"):
            if getattr(self, key) <= 1:
                raise SpecError(f"{key} = {getattr(self, key):g}: must be above 1", field=key)
