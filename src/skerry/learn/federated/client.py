"""A client: the user's own training and evaluation as functions of an app."""

from __future__ import annotations

import inspect
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np

import skerry
from skerry.errors import ConfigError, DataError
from skerry.learn.federated.messages import (
    EvaluateReply,
    EvaluateTask,
    FitReply,
    FitTask,
    StartReply,
    StartTask,
)
from skerry.learn.federated.packing import pack_plain, unpack_plain
from skerry.learn.federated.parameters import Layout, Vector, digest_of
from skerry.learn.federated.site_store import Held, SiteStore, default_root
from skerry.learn.federated.update import Arrays, Config, Evaluation, Update

D = TypeVar("D")
Fit = Callable[[dict[str, Any], D, Config], Update]
Evaluate = Callable[[dict[str, Any], D, Config], Evaluation]
F = TypeVar("F", bound=Callable[..., Any])

OPTIONS: Mapping[str, Any] = {"idempotent": True, "timeout": "6h", "max_body": "512MiB"}
"""Of the functions that a client adds to its app, unless the user says otherwise."""


class Client(Generic[D]):
    """Makes an app a federated client.

    It adds the functions ``start``, ``fit`` and ``evaluate`` to the app; a coordinator calls them.

    Args:
        app: The app.
        data: Returns the client's own data; called once per worker. If it takes an argument, it is given the client's
            name, so that one site can play several clients.
        start: Returns the parameters that a run begins with, given the run's settings; the same ones each time.
        state: Folder in which the client keeps what it holds between rounds; in the engine's own by default.

    Example:
        ``client = federated.Client(app, data=load_data, start=make_parameters)``, then ``@client.fit`` and
        ``@client.evaluate`` on the user's own functions.
    """

    def __init__(
        self,
        app: skerry.App,
        *,
        data: Callable[[], D] | Callable[[str], D],
        start: Callable[[Mapping[str, Any]], Arrays],
        state: str | Path | None = None,
    ) -> None:
        self._app = app
        self._data: Callable[..., D] = data
        self._takes_name = _takes_argument(data)
        self._start = start
        self._state = None if state is None else Path(state)
        self._loaded: dict[str, D] = {}
        app.function(name="start", **OPTIONS)(self._answer_start())

    @overload
    def fit(self, handler: F, /) -> F: ...
    @overload
    def fit(self, /, **options: Any) -> Callable[[F], F]: ...
    def fit(self, handler: Any = None, /, **options: Any) -> Any:
        """Make a function ``(parameters, data, config) -> Update`` the client's training.

        Args:
            handler: The decorated function, where the decorator is written without brackets.
            **options: Those of :meth:`skerry.App.function`, such as ``memory="200MiB", cpu=1``.

        Example:
            ``@client.fit(memory="200MiB", cpu=1)``
        """

        def declare(decorated: Fit[D]) -> Fit[D]:
            self._app.function(name="fit", **{**OPTIONS, **options})(self._answer_fit(decorated))
            return decorated

        return declare if handler is None else declare(handler)

    @overload
    def evaluate(self, handler: F, /) -> F: ...
    @overload
    def evaluate(self, /, **options: Any) -> Callable[[F], F]: ...
    def evaluate(self, handler: Any = None, /, **options: Any) -> Any:
        """Make a function ``(parameters, data, config) -> Evaluation`` the client's evaluation.

        Args:
            handler: The decorated function, where the decorator is written without brackets.
            **options: Those of :meth:`skerry.App.function`.
        """

        def declare(decorated: Evaluate[D]) -> Evaluate[D]:
            self._app.function(name="evaluate", **{**OPTIONS, **options})(self._answer_evaluate(decorated))
            return decorated

        return declare if handler is None else declare(handler)

    def _answer_start(self) -> Callable[[StartTask], StartReply]:
        def start(task: StartTask) -> StartReply:
            """Return the model that a run begins with."""
            arrays = self._start({**task.settings, "seed": task.seed})
            layout = Layout.of(arrays)
            return StartReply(layout=layout, model=pack_plain(layout.join(arrays)))

        return start

    def _answer_fit(self, handler: Fit[D]) -> Callable[[FitTask], FitReply]:
        def fit(task: FitTask) -> FitReply:
            """Train in a round; a task that comes twice is answered with the reply that is there."""
            store = self._store(task)
            with store.locked():
                held = store.read()
                before = _earlier_reply(held, task)
                if before is not None:
                    return before
                model = _receive(task, held)
                if model is None:
                    return _reply(task, status="base-missing")
                held, reply = _train(task, handler, model, self._data_of(task.client), held)
                store.write(held)
                return reply

        return fit

    def _answer_evaluate(self, handler: Evaluate[D]) -> Callable[[EvaluateTask], EvaluateReply]:
        def evaluate(task: EvaluateTask) -> EvaluateReply:
            """Evaluate a model on the client's own data."""
            store = self._store(task)
            with store.locked():
                held = store.read()
                model = _receive(task, held)
                if model is None:
                    return EvaluateReply(client=task.client, status="base-missing")
                if held is None:
                    store.write(Held(model=model, digest=task.model_digest))
                elif held.digest != task.model_digest:
                    store.write(_holding(held, model, task.model_digest))
            config = Config(client=task.client, round=task.round, seed=0, settings=task.settings)
            found = handler(_writable(task.layout.split(model)), self._data_of(task.client), config)
            return EvaluateReply(client=task.client, examples=found.examples, metrics=dict(found.metrics))

        return evaluate

    def _store(self, task: FitTask | EvaluateTask) -> SiteStore:
        return SiteStore(self._state or default_root(self._app.name), task.job, task.client)

    def _data_of(self, client: str) -> D:
        key = client if self._takes_name else ""
        if key not in self._loaded:
            self._loaded[key] = self._data(client) if self._takes_name else self._data()
        return self._loaded[key]


def _takes_argument(data: Callable[..., Any]) -> bool:
    if not callable(data):
        raise ConfigError(f"data = {data!r}: give a function that returns the client's data", field="data")
    needed = [p for p in inspect.signature(data).parameters.values() if p.default is p.empty]
    if len(needed) > 1:
        raise ConfigError(f"data: {data!r} takes {len(needed)} arguments; it may take one, the client's name")
    return bool(needed)


def _earlier_reply(held: Held | None, task: FitTask) -> FitReply | None:
    """Return the reply that the client has given to a task before.

    Raises:
        DataError: a later round has been answered already.
    """
    reply = None if held is None else held.reply
    if reply is None or reply.round < task.round:
        return None
    if reply.round > task.round:
        raise DataError(
            f"client {task.client!r}: round {task.round} of job {task.job!r} is over here; "
            f"round {reply.round} was answered"
        )
    if reply.model_digest != task.model_digest:
        raise DataError(
            f"client {task.client!r}: round {task.round} of job {task.job!r} was answered for another model; "
            "give the new run another job name"
        )
    return reply.model_copy(update={"token": task.token})


def _receive(task: FitTask | EvaluateTask, held: Held | None) -> Vector | None:
    """Return the model of a task; none if it is a difference to a model that the client does not hold.

    Raises:
        DataError: what was received is not the model that the task names.
    """
    if held is not None and held.digest == task.model_digest:
        return held.model
    if task.model is None:
        return None
    vector = unpack_plain(task.model)
    if task.base_digest is not None:
        if held is None or held.digest != task.base_digest:
            return None
        vector = held.model + vector
    vector = vector.astype(task.layout.dtype, copy=False)
    if vector.shape != (task.layout.size,) or digest_of(vector) != task.model_digest:
        raise DataError(f"client {task.client!r}: the model of round {task.round} does not have its digest")
    return vector


def _train(task: FitTask, handler: Fit[D], model: Vector, data: D, held: Held | None) -> tuple[Held, FitReply]:
    config = Config(
        client=task.client, round=task.round, seed=task.seed, settings=task.settings, proximal=task.proximal
    )
    began_s = time.perf_counter()
    update = handler(_writable(task.layout.split(model)), data, config)
    train_s = time.perf_counter() - began_s
    delta = _delta(task, model, update)
    reply = _reply(
        task,
        update=pack_plain(delta),
        examples=update.examples,
        steps=update.steps,
        metrics=dict(update.metrics),
        train_s=train_s,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    return Held(model=model, digest=task.model_digest, reply=reply), reply


def _delta(task: FitTask, model: Vector, update: Update) -> Vector:
    if (update.parameters is None) == (update.delta is None):
        raise DataError(f"client {task.client!r}: fit returns either parameters or delta, and exactly one of them")
    if update.delta is not None:
        return task.layout.join(update.delta)
    return task.layout.join(update.parameters or {}) - model


def _reply(task: FitTask, **values: Any) -> FitReply:
    return FitReply(
        job=task.job,
        round=task.round,
        client=task.client,
        token=task.token,
        model_digest=task.model_digest,
        **values,
    )


def _holding(held: Held, model: Vector, digest: str) -> Held:
    return Held(model=model, digest=digest, residual=held.residual, control=held.control, reply=held.reply)


def _writable(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return arrays that the user's code may change in place."""
    return {name: np.array(array) for name, array in arrays.items()}
