"""The frozen description of one function."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from skerry.errors import SpecError
from skerry.spec.batch import Batch
from skerry.spec.chain import ChainPlan, chain_of
from skerry.spec.option import IN_CONTAINER, build, check_range, check_types, option
from skerry.spec.quantity import parse_duration, parse_size
from skerry.spec.retry import Retry
from skerry.spec.scale import Scale
from skerry.spec.trigger import Timer, Trigger, timer_of, trigger_of

NAME = re.compile(r"[a-z]([a-z0-9_-]{0,61}[a-z0-9])?")

# A worker's memory is the worker's; the front and the zygotes beside it in the container have their own.
MEMORY = "limit and request of the container, with 64 MiB for the front and the zygotes added; in it, of the worker"
PROCESSORS = f"{IN_CONTAINER}; the container asks for `cpu_request_ratio` of it, and has no limit"
MODEL = "fetched by each container from `models` of the platform's table, in the version that was pinned at deploy"
MOST_GPUS = 64


def _on_clusters(help_text: str, becomes: str, **field: Any) -> Any:
    """Return an option that has a meaning where containers are placed on nodes, and none elsewhere."""
    return option(help_text, engine=None, runtime=None, knative=becomes, kubernetes=becomes, **field)


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSpec:
    """What a function is called, what it may use and how it scales.

    Example:
        ``FunctionSpec(name="train", memory="200MiB", cpu=1, timeout="10m", scale=Scale(max=4))``
    """

    name: str = option(
        "name in the address: lower-case letters, digits, - and _",
        knative="name of the Service, `_` written `-`",
        kubernetes="name of Deployment, Service and HorizontalPodAutoscaler, `_` written `-`",
    )
    memory: str | None = option(
        "memory that a worker may hold; none means no limit",
        knative=MEMORY,
        kubernetes=MEMORY,
        default=None,
    )
    cpu: float = option(
        "processors' worth of threads that a worker may use",
        knative=PROCESSORS,
        kubernetes=PROCESSORS,
        default=1.0,
    )
    timeout: str = option(
        "longest run of one request",
        knative=f"{IN_CONTAINER}; `timeoutSeconds` is 5 s more, at most `max_timeout` of the platform's table",
        default="300s",
    )
    start_timeout: str = option(
        "longest start of a worker, loading included",
        knative=f"{IN_CONTAINER}; annotation `serving.knative.dev/progress-deadline` leaves 10 min more",
        kubernetes=f"{IN_CONTAINER}; `startupProbe` and `progressDeadlineSeconds`",
        default="60s",
    )
    drain: str = option(
        "time that a stopping worker has to finish its requests",
        knative=f"{IN_CONTAINER}; `timeoutSeconds` is no less: Knative ends a container after that time",
        kubernetes=f"{IN_CONTAINER}; `terminationGracePeriodSeconds` is 10 s more",
        default="300s",
    )
    concurrency: int = option(
        "requests that one worker handles at a time; above 1 for async handlers only",
        knative=f"{IN_CONTAINER}; `containerConcurrency` follows it",
        default=1,
    )
    queue: int = option(
        "requests that may wait; one more is answered 429",
        knative=f"{IN_CONTAINER}, for each; Knative holds others before it",
        kubernetes=f"{IN_CONTAINER}, for each",
        default=10_000,
    )
    max_in_flight: int = option(
        "requests that the workers together handle at a time, the others wait; 0 means no bound",
        knative=None,
        kubernetes=None,
        default=0,
    )
    max_body: str = option("largest request body", default="10MiB")
    files: int = option("file descriptors that a worker may hold open", default=1024)
    idempotent: bool = option("whether a request may run twice: a lost one is then retried elsewhere", default=False)
    env: Mapping[str, str] = option(
        "environment variables",
        knative="`env` of the container",
        kubernetes="`env` of the container",
        default_factory=dict,
    )
    batch: Batch | None = option("bounds of the batches in which requests are handled; none means singly", default=None)
    scale: Scale = option(
        "bounds and behaviour of the autoscaler",
        runtime=None,
        knative="see below",
        kubernetes="see below",
        default_factory=Scale,
    )
    model: str | None = option(
        "model that is fetched once, and pinned by version for each revision: NAME, NAME@ALIAS or NAME@VERSION",
        knative=MODEL,
        kubernetes=MODEL,
        default=None,
    )
    share_load: bool = option(
        "whether workers are forked from a process that has run the handler's load, and share its memory",
        default=False,
    )
    triggers: tuple[Trigger, ...] = option(
        "events that start the function, from `app.on`",
        engine="done by the broker",
        runtime=None,
        knative="a Trigger each, at the broker of the platform's table",
        kubernetes=None,
        default=(),
    )
    timers: tuple[Timer, ...] = option(
        "moments that start the function, from `app.every` and `app.cron`",
        engine="done by the broker",
        runtime=None,
        knative="a PingSource each",
        kubernetes=None,
        default=(),
    )
    chain: ChainPlan | None = option(
        "steps that the function stands for, from `app.chain`",
        engine="done by the engine, which records each step",
        runtime=None,
        knative=None,
        kubernetes=None,
        default=None,
    )
    local: bool = option(
        "whether the function stays at its site: it is neither called nor deployed from another machine",
        runtime=None,
        knative=None,
        kubernetes=None,
        default=False,
    )
    secrets: tuple[str, ...] = _on_clusters(
        "names of Secrets whose keys become environment variables; their values are never read by Skerry",
        "`envFrom` of the container",
        default=(),
    )
    gpu: int = _on_clusters(
        "graphics processors that the function has for itself", "limit of `gpu_resource`", default=0
    )
    tier: Literal["device", "edge", "cloud"] | None = _on_clusters(
        "tier of the nodes that may run the function: nodes with the label `skerry.dev/tier`",
        "required node affinity",
        default=None,
    )
    node_labels: Mapping[str, str] = _on_clusters(
        "labels that a node must have to run the function", "required node affinity", default_factory=dict
    )
    tolerations: tuple[str, ...] = _on_clusters(
        "taints of nodes that the function puts up with: `KEY[=VALUE][:EFFECT]`", "`tolerations` of the pod", default=()
    )
    runtime_class: str | None = _on_clusters(
        "RuntimeClass that isolates the container, such as gvisor", "`runtimeClassName` of the pod", default=None
    )
    volumes: Mapping[str, str] = _on_clusters(
        "mounts, path to source: `pvc/NAME`, `pvc/NAME:ro`, `configmap/NAME` or `secret/NAME`",
        "`volumes` and `volumeMounts`",
        default_factory=dict,
    )

    memory_bytes: int | None = field(init=False)
    timeout_s: float = field(init=False)
    start_timeout_s: float = field(init=False)
    drain_s: float = field(init=False)
    max_body_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        check_types(self)
        if not NAME.fullmatch(self.name):
            raise SpecError(
                f"name = {self.name!r}: use lower-case letters, digits, - and _, a letter first, no - or _ last, "
                "at most 63; name=... of the decorator gives one that differs from Python's",
                field="name",
            )
        memory_bytes = None if self.memory is None else parse_size(self.memory, key="memory")
        if memory_bytes is not None and memory_bytes < 2**20:
            raise SpecError(f"memory = {self.memory!r}: must be at least 1MiB", field="memory")
        check_range("cpu", self.cpu, low=0.01, high=1024)
        check_range("concurrency", self.concurrency, low=1, high=10_000)
        check_range("queue", self.queue, low=0, high=1_000_000)
        check_range("max_in_flight", self.max_in_flight, low=0, high=1_000_000)
        check_range("files", self.files, low=16, high=1_048_576)
        object.__setattr__(self, "memory_bytes", memory_bytes)
        for key in ("timeout", "start_timeout", "drain"):
            seconds = parse_duration(getattr(self, key), key=key)
            check_range(f"{key} (seconds)", seconds, low=0.01, high=86_400)
            object.__setattr__(self, f"{key}_s", seconds)
        object.__setattr__(self, "max_body_bytes", parse_size(self.max_body, key="max_body"))
        check_range("max_body (bytes)", self.max_body_bytes, low=1, high=2**31)
        object.__setattr__(self, "env", MappingProxyType(dict(self.env)))
        if self.model is not None:
            from skerry.spec.model import ModelReference

            ModelReference.parse(self.model)
        self._check_placement()

    def _check_placement(self) -> None:
        check_range("gpu", self.gpu, low=0, high=MOST_GPUS)
        for key in ("node_labels", "volumes"):
            object.__setattr__(self, key, MappingProxyType(dict(getattr(self, key))))
        if self.secrets or self.runtime_class is not None or self.node_labels or self.tolerations or self.volumes:
            from skerry.spec.placement import check_placement  # few functions need what it imports

            check_placement(self)

    @property
    def retries(self) -> tuple[Retry, ...]:
        """What becomes of events that the function fails on, for each of what starts it."""
        return (*(trigger.retry for trigger in self.triggers), *(timer.retry for timer in self.timers))

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values, in the form that :func:`function_spec` reads."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        scale = {k: v for k, v in asdict(self.scale).items() if not k.endswith("_s")}
        batch = None if self.batch is None else self.batch.to_dict()
        tables = {key: dict(getattr(self, key)) for key in ("env", "node_labels", "volumes")}
        lists = {key: list(getattr(self, key)) for key in ("secrets", "tolerations")}  # as a record gives them back
        starts = {key: [one.to_dict() for one in getattr(self, key)] for key in ("triggers", "timers")}
        chain = None if self.chain is None else self.chain.to_dict()
        return {**values, **tables, **lists, **starts, "batch": batch, "scale": scale, "chain": chain}


def function_spec(values: Mapping[str, Any], *, where: str) -> FunctionSpec:
    """Return the spec that a mapping of options describes; ``scale`` and ``batch`` may be mappings too.

    Args:
        values: Option name to value.
        where: Where the values come from, for the message.

    Raises:
        SpecError: an option is unknown, has a wrong type or is out of range.
    """
    values = dict(values)
    parts: dict[str, type[Any]] = {"scale": Scale, "batch": Batch}
    for key, cls in parts.items():
        part = values.get(key)
        if isinstance(part, Mapping):
            values[key] = build(cls, part, where=f"{where}.{key}")
    if isinstance(values.get("chain"), Mapping):
        values["chain"] = chain_of(values["chain"], where=f"{where}.chain")
    for key, read in (("triggers", trigger_of), ("timers", timer_of)):
        given = values.get(key)
        if isinstance(given, list | tuple):
            values[key] = tuple(
                read(one, where=f"{where}.{key}[{n}]") if isinstance(one, Mapping) else one
                for n, one in enumerate(given)
            )
    return build(FunctionSpec, values, where=where)
