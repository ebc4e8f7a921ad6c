"""Functions that serve a model by its name, without a handler."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

from skerry.app.function import BaseFunction, Function
from skerry.app.options import UNSET, Unset
from skerry.errors import ConfigError
from skerry.runtime.concurrency import is_async

if TYPE_CHECKING:
    import numpy as np

    from skerry.spec import Batch, Scale

    Outputs = dict[str, np.ndarray[Any, Any]]

P = ParamSpec("P")
R = TypeVar("R")


class ServeOptions(TypedDict, total=False):
    """The options of a function that serves a model: those of other functions, see :meth:`skerry.App.function`."""

    memory: str | None
    cpu: float
    timeout: str
    start_timeout: str
    drain: str
    queue: int
    max_in_flight: int
    max_body: str
    files: int
    idempotent: bool
    env: Mapping[str, str]
    scale: Scale
    share_load: bool
    local: bool
    secrets: Sequence[str]
    gpu: int
    tier: Literal["device", "edge", "cloud"] | None
    node_labels: Mapping[str, str]
    tolerations: Sequence[str]
    runtime_class: str | None
    volumes: Mapping[str, str]


class ServesModels:
    """The part of an app that serves models; an app is one of these."""

    @overload
    def serve(
        self,
        name: str,
        *,
        model: str,
        before: None = None,
        after: None = None,
        batch: Batch | None = ...,
        cache: str | None = None,
        **options: Unpack[ServeOptions],
    ) -> Function[[Any], dict[str, Any]]: ...
    @overload
    def serve(
        self,
        name: str,
        *,
        model: str,
        before: Callable[P, Any],
        after: None = None,
        batch: Batch | None = ...,
        cache: str | None = None,
        **options: Unpack[ServeOptions],
    ) -> Function[P, dict[str, Any]]: ...
    @overload
    def serve(
        self,
        name: str,
        *,
        model: str,
        before: None = None,
        after: Callable[[Outputs], R],
        batch: Batch | None = ...,
        cache: str | None = None,
        **options: Unpack[ServeOptions],
    ) -> Function[[Any], R]: ...
    @overload
    def serve(
        self,
        name: str,
        *,
        model: str,
        before: Callable[P, Any],
        after: Callable[[Outputs], R],
        batch: Batch | None = ...,
        cache: str | None = None,
        **options: Unpack[ServeOptions],
    ) -> Function[P, R]: ...
    def serve(
        self,
        name: str,
        *,
        model: str,
        before: Callable[..., Any] | None = None,
        after: Callable[..., Any] | None = None,
        batch: Batch | Unset | None = UNSET,
        cache: str | None = None,
        **options: Any,
    ) -> Any:
        """Serve a model as a function of this app: plain JSON, KServe's protocol v1, the Open Inference Protocol v2.

        A plain call sends rows, ``[[...], ...]``, for a model with one input, or ``{"inputs": {NAME: rows, ...}}``. A
        classifier answers ``{"labels": [...], "probabilities": [[...]], "model": "digits@3"}``, another model
        ``{"outputs": {NAME: ...}, "model": ...}``.

        Args:
            name: Name in the address.
            model: Which one: ``NAME``, ``NAME@ALIAS`` or ``NAME@VERSION``.
            before: A plain function from a plain call's arguments, which its annotations check, to the model's inputs:
                an array, or arrays by the input's name. What does not fit the model is a failure of the function
                (500); to refuse what its caller sent, it raises ``skerry.errors.InvalidPayloadError`` (422).
            after: A plain function from the outputs of one caller's rows, arrays by name, to the result of its call.
            batch: Bounds of the batches whose rows go through the model in one run, by default
                ``Batch(max_size=32, objective="50ms")``; none means singly.
            cache: Memory of each worker for answers that it gave before, like ``"64MiB"``; none by default. An answer
                from there says so in the header ``skerry-cache: hit``.
            options: As for :meth:`function`; unless they are given, ``idempotent`` is true, and so is ``share_load``
                where ``cpu`` is at most 1: a model that runs on several threads cannot be forked.

        Raises:
            SpecError: an option has a wrong type or is out of range, or the model's name is not of its form.
            ConfigError: ``before`` or ``after`` is no plain function.
            NameTakenError: the app has a function of this name already.

        Example:
            ``digits = app.serve("digits", model="digits@production")``, then ``digits.remote([[0.0] * 64])``
        """
        from skerry.serve.server import ModelServer, ServeSettings
        from skerry.spec import Batch, ModelReference, parse_size

        batch = Batch(max_size=32, objective="50ms") if batch is UNSET else batch
        ModelReference.parse(model)
        for role, function in (("before", before), ("after", after)):
            if function is not None and (not callable(function) or _is_special(function)):
                raise ConfigError(
                    f"function {name!r}: {role} = {function!r}: give it a plain function, not an async one"
                )
        cache_bytes = 0 if cache is None else parse_size(cache, key="cache")
        settings = ServeSettings(model=model, before=before, after=after, cache_bytes=cache_bytes)
        cpu = options.get("cpu", 1.0)
        has_one_thread = not isinstance(cpu, int | float) or cpu <= 1  # what is no number is refused with the others
        chosen = {"idempotent": True, "share_load": has_one_thread, **options, "batch": batch, "model": model}
        return self._declare(ModelServer.serving(name, settings), name, chosen)

    def _declare(self, handler: Callable[..., Any], name: str, options: Mapping[str, Any]) -> BaseFunction[Any, Any]:
        raise NotImplementedError


def _is_special(function: Callable[..., Any]) -> bool:
    return is_async(function) or inspect.isgeneratorfunction(function) or inspect.isclass(function)
