"""A client: the user's own training and evaluation as functions of an app."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import skerry
from skerry.errors import ConfigError, DataError
from skerry.learn.federated.clients.site_store import SiteStore, default_root
from skerry.learn.federated.clients.training import earlier_reply, hold, receive, reply_to, train, writable
from skerry.learn.federated.clients.update import (
    Arrays,
    Config,
    Evaluation,
    Update,
    examples_of,
    metrics_of,
)
from skerry.learn.federated.wire.coding.packing import pack
from skerry.learn.federated.wire.messages import (
    Enclosed,
    EvaluateReply,
    EvaluateTask,
    FitReply,
    FitTask,
    StartReply,
    StartTask,
)
from skerry.learn.federated.wire.parameters import Layout

D = TypeVar("D")
UserFit = Callable[[dict[str, Any], D, Config], Update]
UserEvaluate = Callable[[dict[str, Any], D, Config], Evaluation]
F = TypeVar("F", bound=Callable[..., Any])

OPTIONS: Mapping[str, Any] = {"idempotent": True, "timeout": "6h", "max_body": "512MiB"}
"""Of the functions that a client adds to its app, unless the user says otherwise."""

_SHORT: Mapping[str, Any] = {**OPTIONS, "timeout": "10m"}  # of those that do not train: as long as a cluster allows


class Client(Generic[D]):
    """Makes an app a federated client.

    It adds the functions ``start``, ``fit``, ``evaluate`` and ``secure`` to the app; a coordinator calls them. Only one
    app of an engine can have these names: another one is refused when it is deployed.

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
        self._state = state
        self._loaded: dict[str, D] = {}
        app.function(name="start", **_SHORT)(self._answer_start())
        app.function(name="secure", scale=skerry.Scale(initial=0), **_SHORT)(self._answer_secure())

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

        def declare(decorated: UserFit[D]) -> UserFit[D]:
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

        def declare(decorated: UserEvaluate[D]) -> UserEvaluate[D]:
            self._app.function(name="evaluate", **{**OPTIONS, **options})(self._answer_evaluate(decorated))
            return decorated

        return declare if handler is None else declare(handler)

    def _answer_start(self) -> Callable[[StartTask], StartReply]:
        def start(task: StartTask) -> StartReply:
            """Return the model that a run begins with."""
            arrays = self._start({**task.settings, "seed": task.seed})
            layout = Layout.of(arrays)
            vector = layout.join(arrays)
            layout.check_finite(vector)
            packed, _ = pack(vector, vector.dtype.name)  # type: ignore[arg-type]  # a vector's dtype is one of the codings
            return StartReply(layout=layout, model=packed)

        return start

    def _answer_fit(self, handler: UserFit[D]) -> Callable[[FitTask], FitReply]:
        def fit(task: FitTask) -> FitReply:
            """Train in a round; a task that comes twice is answered with the reply that is there."""
            store = self._store(task.job, task.client)
            with store.locked():
                held = store.read()
                before = earlier_reply(held, task)
                if before is not None:
                    return before
                model = receive(task, held)
                if model is None:
                    return reply_to(task, status="base-missing")
                data = self._data_of(task.client)
                held, reply = train(
                    task,
                    lambda parameters, config: handler(parameters, data, config),
                    model,
                    hold(held, model, task.model_digest),
                    None if task.secure is None else store.secure_path,
                )
                store.write(held)
                return reply

        return fit

    def _answer_evaluate(self, handler: UserEvaluate[D]) -> Callable[[EvaluateTask], EvaluateReply]:
        def evaluate(task: EvaluateTask) -> EvaluateReply:
            """Evaluate a model on the client's own data."""
            store = self._store(task.job, task.client)
            with store.locked():
                held = store.read()
                model = receive(task, held)
                if model is None:
                    return EvaluateReply(client=task.client, status="base-missing")
                if held is None or held.digest != task.model_digest:
                    store.write(hold(held, model, task.model_digest))
            config = Config(client=task.client, round=task.round, seed=0, settings=task.settings)
            found = handler(writable(task.layout.split(model)), self._data_of(task.client), config)
            if not isinstance(found, Evaluation):
                raise DataError(
                    f"client {task.client!r}: evaluate returned {type(found).__name__}; "
                    "return federated.Evaluation(...)"
                )
            return EvaluateReply(client=task.client, examples=examples_of(found), metrics=metrics_of(found))

        return evaluate

    def _answer_secure(self) -> Callable[[Enclosed], Enclosed]:
        def secure(task: Enclosed) -> Enclosed:
            """Answer a phase of the secure aggregation of what `fit` has kept here."""
            from skerry.learn.federated.secure.folder import answer
            from skerry.learn.federated.secure.messages import read_task, write

            asked = read_task(task.message)
            store = self._store(asked.job, asked.client)
            with store.locked():
                return Enclosed(message=write(answer(store.secure_path, asked)))

        return secure

    @cached_property
    def _root(self) -> Path:
        # Not before it is needed: the engine around is known in a worker only.
        return default_root(self._app.name) if self._state is None else Path(self._state)

    def _store(self, job: str, client: str) -> SiteStore:
        return SiteStore(self._root, job, client)

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
