"""The frozen description of one function."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from skerry.errors import SpecError
from skerry.spec.batch import Batch
from skerry.spec.model import ModelReference
from skerry.spec.option import ENGINE, build, check_range, check_types, option
from skerry.spec.quantity import parse_duration, parse_size
from skerry.spec.scale import Scale

NAME = re.compile(r"[a-z]([a-z0-9_-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSpec:
    """What a function is called, what it may use and how it scales.

    Example:
        ``FunctionSpec(name="train", memory="200MiB", cpu=1, timeout="10m", scale=Scale(max=4))``
    """

    name: str = option("name in the address: lower-case letters, digits, - and _")
    memory: str | None = option("memory that a worker may hold; none means no limit", default=None)
    cpu: float = option("processors' worth of threads that a worker may use", default=1.0)
    timeout: str = option("longest run of one request", default="300s")
    start_timeout: str = option("longest start of a worker, loading included", default="60s")
    drain: str = option("time that a stopping worker has to finish its requests", default="300s")
    concurrency: int = option("requests that one worker handles at a time; above 1 for async handlers only", default=1)
    queue: int = option("requests that may wait; one more is answered 429", default=10_000)
    max_in_flight: int = option(
        "requests that the workers together handle at a time, the others wait; 0 means no bound", default=0
    )
    max_body: str = option("largest request body", default="10MiB")
    files: int = option("file descriptors that a worker may hold open", default=1024)
    idempotent: bool = option("whether a request may run twice: a lost one is then retried elsewhere", default=False)
    env: Mapping[str, str] = option("environment variables", default_factory=dict)
    batch: Batch | None = option("bounds of the batches in which requests are handled; none means singly", default=None)
    scale: Scale = option("bounds and behaviour of the autoscaler", default_factory=Scale)
    model: str | None = option(
        "model that is fetched once, and pinned by version for each revision: NAME, NAME@ALIAS or NAME@VERSION",
        default=None,
    )
    share_load: bool = option(
        "whether workers are forked from a process that has run the handler's load, and share its memory",
        default=False,
    )
    local: bool = option(
        "whether the function stays at its site: it is neither called nor deployed from another machine",
        platforms=frozenset({ENGINE}),
        default=False,
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
                f"name = {self.name!r}: use lower-case letters, digits, - and _, a letter first, at most 63",
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
            ModelReference.parse(self.model)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values, in the form that :func:`function_spec` reads."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        scale = {k: v for k, v in asdict(self.scale).items() if not k.endswith("_s")}
        batch = None if self.batch is None else self.batch.to_dict()
        return {**values, "env": dict(self.env), "batch": batch, "scale": scale}


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
    return build(FunctionSpec, values, where=where)
