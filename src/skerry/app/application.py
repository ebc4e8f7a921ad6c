"""An app: a set of functions that are deployed together."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast, overload

from skerry.app.binding import Binding
from skerry.app.chaining import HasChains
from skerry.app.function import AsyncFunction, BaseFunction, Function
from skerry.app.making import make_function
from skerry.app.options import UNSET, Unset, given_options
from skerry.app.serving import ServesModels
from skerry.app.sources import HasSources
from skerry.app.states import HasStates
from skerry.app.stream import AsyncStreamFunction, StreamFunction
from skerry.app.triggering import StartsFunctions
from skerry.errors import AppImportError, NameTakenError, SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from skerry.app.chain import Chain
    from skerry.app.decorator import (
        AsyncHandlerObject,
        AsyncItemsHandlerObject,
        AsyncStreamHandlerObject,
        Decorator,
        HandlerObject,
        ItemsHandlerObject,
        StreamHandlerObject,
        TakesList,
    )
    from skerry.app.places import Place
    from skerry.app.running import RunningApp
    from skerry.app.target import Target
    from skerry.app.view import AppView
    from skerry.payload import Items
    from skerry.spec import Batch, Scale, Source
    from skerry.store.state import State

P = ParamSpec("P")
A = TypeVar("A")
S = TypeVar("S", bound=Sequence[Any])
R = TypeVar("R")

NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


class App(StartsFunctions, ServesModels, HasSources, HasStates, HasChains):
    """A set of functions that are deployed together.

    Args:
        name: Lower-case letters, digits and -, a letter first, no - last, at most 63.
        requirements: What must be installed where the app runs, as pip writes it, like ``"numpy>=2"``.
        imports: Libraries that are imported once, before the workers that share them start.
        local: Whether its functions stay at their site, unless one of them says otherwise.
        stand_in: Whether it is never deployed, and only declares functions that other apps have: its calls reach the
            function of the name, whichever app it is of. Calls of other apps reach the functions of the app alone.

    Raises:
        SpecError: an argument is not of that form.

    Example:
        ``app = skerry.App("news", imports=("numpy",))``
    """

    def __init__(
        self,
        name: str,
        *,
        requirements: Iterable[str] = (),
        imports: Iterable[str] = (),
        local: bool = False,
        stand_in: bool = False,
    ) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise SpecError(
                f"app {name!r}: use lower-case letters, digits and -, a letter first, no - last, at most 63",
                field="name",
            )
        self.name = name
        self.requirements = _texts(requirements, key="requirements", app=name)
        self.imports = _texts(imports, key="imports", app=name)
        self._local = {"local": True} if local else {}
        self._functions: dict[str, BaseFunction[Any, Any]] = {}
        self._binding = Binding(app=None if stand_in else name)
        self._states: dict[str, State] = {}
        self._chains: dict[str, Chain] = {}
        self._event_sources: dict[str, Source] = {}
        self._module: Mapping[str, Any] = sys._getframe(1).f_globals

    def __repr__(self) -> str:
        return f"<App {self.name}: {', '.join(self._functions) or 'no functions'}>"

    @property
    def functions(self) -> Mapping[str, BaseFunction[Any, Any]]:
        """The functions by name."""
        return MappingProxyType(self._functions)

    # A handler may fit several: an async one is also a plain one that returns a coroutine, a generator a plain one that
    # returns an iterator, and one that takes any list could be given `Items`. Of those that fit, the first is taken.
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[TakesList[P, Coroutine[Any, Any, R]]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[AsyncItemsHandlerObject[A, R]], /
    ) -> AsyncFunction[[A], R]: ...
    @overload
    def function(self, handler: type[TakesList[P, S]], /) -> Function[P, S]: ...
    @overload
    def function(self, handler: type[ItemsHandlerObject[A, R]], /) -> Function[[A], R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[AsyncStreamHandlerObject[P, R]], /
    ) -> AsyncStreamFunction[P, R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[AsyncHandlerObject[P, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[StreamHandlerObject[P, R]], /
    ) -> StreamFunction[P, R]: ...
    @overload
    def function(self, handler: type[HandlerObject[P, R]], /) -> Function[P, R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: TakesList[P, Coroutine[Any, Any, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[[Items[A]], Coroutine[Any, Any, Sequence[R]]], /
    ) -> AsyncFunction[[A], R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: TakesList[P, S], /
    ) -> Function[P, S]: ...
    @overload
    def function(self, handler: Callable[[Items[A]], Sequence[R]], /) -> Function[[A], R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[P, AsyncIterator[R]], /
    ) -> AsyncStreamFunction[P, R]: ...
    @overload
    def function(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[P, Iterator[R]], /
    ) -> StreamFunction[P, R]: ...
    @overload
    def function(self, handler: Callable[P, R], /) -> Function[P, R]: ...
    @overload
    def function(
        self,
        /,
        *,
        name: str = ...,
        memory: str | None = ...,
        cpu: float = ...,
        timeout: str = ...,
        start_timeout: str = ...,
        drain: str = ...,
        concurrency: int = ...,
        queue: int = ...,
        max_in_flight: int = ...,
        max_body: str = ...,
        files: int = ...,
        idempotent: bool = ...,
        env: Mapping[str, str] = ...,
        batch: Batch | None = ...,
        scale: Scale = ...,
        model: str | None = ...,
        share_load: bool = ...,
        local: bool = ...,
        secrets: Sequence[str] = ...,
        gpu: int = ...,
        tier: Literal["device", "edge", "cloud"] | None = ...,
        node_labels: Mapping[str, str] = ...,
        tolerations: Sequence[str] = ...,
        runtime_class: str | None = ...,
        volumes: Mapping[str, str] = ...,
    ) -> Decorator: ...
    def function(  # noqa: PLR0913  # one keyword per option, so that editors and type checkers know them
        self,
        handler: Any = None,
        /,
        *,
        name: str | Unset = UNSET,
        memory: str | Unset | None = UNSET,
        cpu: float | Unset = UNSET,
        timeout: str | Unset = UNSET,
        start_timeout: str | Unset = UNSET,
        drain: str | Unset = UNSET,
        concurrency: int | Unset = UNSET,
        queue: int | Unset = UNSET,
        max_in_flight: int | Unset = UNSET,
        max_body: str | Unset = UNSET,
        files: int | Unset = UNSET,
        idempotent: bool | Unset = UNSET,
        env: Mapping[str, str] | Unset = UNSET,
        batch: Batch | Unset | None = UNSET,
        scale: Scale | Unset = UNSET,
        model: str | Unset | None = UNSET,
        share_load: bool | Unset = UNSET,
        local: bool | Unset = UNSET,
        secrets: Sequence[str] | Unset = UNSET,
        gpu: int | Unset = UNSET,
        tier: Literal["device", "edge", "cloud"] | Unset | None = UNSET,
        node_labels: Mapping[str, str] | Unset = UNSET,
        tolerations: Sequence[str] | Unset = UNSET,
        runtime_class: str | Unset | None = UNSET,
        volumes: Mapping[str, str] | Unset = UNSET,
    ) -> Any:
        """Make a function, an async function or a class with ``__call__`` a function of this app.

        A class may have ``load`` and ``unload``; a worker calls them when it starts and stops. The results of a
        generator are streamed. A handler whose one parameter is `skerry.Items` takes several callers' items at once
        and returns as many results; each caller still sends one item and gets one result.

        Args:
            handler: The decorated function or class, where the decorator is written without brackets.
            name: Name in the address; the handler's own in lower case by default.
            memory: Memory that a worker may hold, like ``"200MiB"``.
            cpu: Processors' worth of threads that a worker may use.
            timeout: Longest run of one request, like ``"5m"``.
            start_timeout: Longest start of a worker, loading included.
            drain: Time that a stopping worker has to finish its requests.
            concurrency: Requests that one worker handles at a time (async handlers).
            queue: Requests that may wait.
            max_in_flight: Requests that the workers together handle at a time, further ones wait; 0 means no bound.
            max_body: Largest request body, like ``"10MiB"``.
            files: File descriptors that a worker may hold open.
            idempotent: Whether a request may run twice, so that a lost one is sent again.
            env: Environment variables.
            batch: Bounds of the batches in which requests are handed to a worker; a handler that takes
                `skerry.Items` is batched without it too.
            scale: Bounds and behaviour of the autoscaler.
            model: Model that is fetched once and pinned by version for each revision, like ``"digits@production"``.
            share_load: Whether workers are forked from a process that has run the handler's ``load``, so that what it
                loaded is in memory once.
            local: Whether the function stays at its site: it is neither called nor deployed from another machine, and
                its results are not handed to one.
            secrets: Names of Secrets whose keys become environment variables (clusters).
            gpu: Graphics processors that the function has for itself (clusters).
            tier: Tier of the nodes that may run the function (clusters).
            node_labels: Labels that a node must have to run the function (clusters).
            tolerations: Taints of nodes that the function puts up with, like ``"edge=true:NoSchedule"`` (clusters).
            runtime_class: RuntimeClass that isolates the container (clusters).
            volumes: Mounts, path to source, like ``{"/data": "pvc/measurements"}`` (clusters).

        Raises:
            SpecError: an option has a wrong type or is out of range.
            NameTakenError: the app has a function of this name already.

        Example:
            ``@app.function(memory="200MiB", timeout="10m", scale=skerry.Scale(max=4))``
        """
        options = {
            "memory": memory,
            "cpu": cpu,
            "timeout": timeout,
            "start_timeout": start_timeout,
            "drain": drain,
            "concurrency": concurrency,
            "queue": queue,
            "max_in_flight": max_in_flight,
            "max_body": max_body,
            "files": files,
            "idempotent": idempotent,
            "env": env,
            "batch": batch,
            "scale": scale,
            "model": model,
            "share_load": share_load,
            "local": local,
            "secrets": secrets,
            "gpu": gpu,
            "tier": tier,
            "node_labels": node_labels,
            "tolerations": tolerations,
            "runtime_class": runtime_class,
            "volumes": volumes,
        }

        def declare(decorated: Callable[..., Any]) -> BaseFunction[Any, Any]:
            return self._declare(decorated, name, options)

        return cast("Decorator", declare) if handler is None else declare(handler)

    def at(self, place: Place) -> AppView:
        """Return a view of this app whose functions call another place; the app itself stays as it is.

        Args:
            place: A site's name in ``skerry.toml``, beside the app's file or in the current folder; a `Site`; or a
                platform.

        Raises:
            ConfigError: no such site is named, or its token is not there.

        Example:
            ``app.at("edge-1").train.remote(rows)``; to keep the types, bind the function:
            ``train.at("edge-1").remote(rows)``.
        """
        from skerry.app.places import platform_at
        from skerry.app.view import AppView

        return AppView(self, platform_at(place, folder=self._folder()))

    def _folder(self) -> Path | None:
        from skerry.app.places import folder_of

        file = self._module.get("__file__")
        return None if file is None else folder_of(file)

    def run(self, *, home: str | Path | None = None, port: int = 0) -> RunningApp:
        """Start an engine with this app, for the block of a ``with`` statement; the app's functions then call it.

        Args:
            home: Folder of the engine; a temporary one by default.
            port: TCP port on which it listens; 0 picks a free one.

        Example:
            ``with app.run(): print(train.remote(rows))``
        """
        from pathlib import Path

        from skerry.app.running import RunningApp

        return RunningApp(self, self._binding, home=None if home is None else Path(home), port=port)

    def target(self) -> Target:
        """Return the source from which this app is deployed: the file that made it, and its name there.

        Raises:
            AppImportError: the app was not made in a file, or has no name at the top level of it.
        """
        from pathlib import Path

        from skerry.app.project_root import Located
        from skerry.app.target import Target

        file = self._module.get("__file__")
        if file is None or file.startswith("<"):  # <stdin>, and what consoles call what is typed there
            raise AppImportError(f"app {self.name!r} was not made in a file; write it into one to run or deploy it")
        for attribute, value in self._module.items():
            if value is self:
                place = Path(file).resolve()
                return Target.of(Located(place, place.parent, None), attribute)
        raise AppImportError(f"{file}: give app {self.name!r} a name at the top level of its module: app = App(...)")

    def _declare(
        self, handler: Callable[..., Any], name: str | Unset, options: Mapping[str, Any]
    ) -> BaseFunction[Any, Any]:
        chosen = getattr(handler, "__name__", "").lower() if name is UNSET else name
        given = {**self._local, **given_options(options, name=chosen)}
        if chosen in self._functions:
            raise NameTakenError(f"app {self.name!r} has a function {chosen!r} already; give one of them name=...")
        function = make_function(handler, name=chosen, options=given, binding=self._binding)
        self._functions[chosen] = function
        return function


def _texts(values: Iterable[str], *, key: str, app: str) -> tuple[str, ...]:
    found = () if isinstance(values, str) else tuple(values)
    if isinstance(values, str) or not all(isinstance(value, str) for value in found):
        raise SpecError(f"app {app!r}: {key} = {values!r}: write a list of strings", field=key)
    return found
