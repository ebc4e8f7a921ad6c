"""Functions of an app: plain to call here, and callable on a platform."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from skerry.app.binding import Binding
from skerry.app.mapping import map_calls
from skerry.errors import ConfigError, SkerryError
from skerry.platforms.base import Cancellation, Platform

if TYPE_CHECKING:
    from typing import Self

    from skerry.app.job import Job
    from skerry.payload import Signature

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
S = TypeVar("S")
A_contra = TypeVar("A_contra", contravariant=True)
S_co = TypeVar("S_co", covariant=True)

MSGPACK = "application/msgpack"
CLOUD_EVENT = "application/cloudevents+json"


class TakesItem(Protocol[A_contra, S_co]):
    """A function that one argument is enough for: what can be mapped over items."""

    def remote(self, item: A_contra, /) -> S_co:
        """Run the function on the platform."""


class BaseFunction(Generic[P, R]):
    """What plain and async functions have in common; made by :meth:`skerry.App.function`.

    Args:
        handler: The decorated function or class.
        name: Name in the address.
        options: Options as the decorator gave them.
        binding: Where calls go.
    """

    def __init__(self, handler: Callable[..., Any], *, name: str, options: Mapping[str, Any], binding: Binding) -> None:
        wrapper: Any = self
        functools.update_wrapper(wrapper, handler, updated=())
        self.handler = handler
        self.name = name
        self.options = dict(options)
        self._binding = binding
        self._local: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @functools.cached_property
    def signature(self) -> Signature:
        """How arguments and results travel; made at first use, because it needs the schema library."""
        from skerry.payload import Signature

        return Signature.of(self.handler)

    def at(self, platform: Platform) -> Self:
        """Return the same function with its calls bound to a platform."""
        bound = copy.copy(self)
        bound._binding = Binding(platform)
        return bound

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function on the platform and wait for its result.

        Raises:
            EngineNotRunningError: there is no platform to call.
            SkerryError: the error that the call ended with.
        """
        return self._call(args, kwargs, None)

    @overload
    def map(
        self: TakesItem[A, S],
        items: Iterable[A],
        *,
        in_flight: int = ...,
        return_errors: Literal[False] = ...,
    ) -> Iterator[S]: ...
    @overload
    def map(
        self: TakesItem[A, S],
        items: Iterable[A],
        *,
        in_flight: int = ...,
        return_errors: Literal[True],
    ) -> Iterator[S | SkerryError]: ...
    def map(self, items: Iterable[Any], *, in_flight: int = 32, return_errors: bool = False) -> Iterator[Any]:
        """Run the function once per item, several at a time, and yield the results in the order of the items.

        Each result comes as soon as its turn has come, and items are taken only as they are needed. Nothing runs before
        the first result is asked for. Closing the iterator, or leaving a ``for`` loop over it, ends the calls.

        Args:
            items: The first argument of each call.
            in_flight: Most calls at a time, at least 1.
            return_errors: Whether the error of a call is yielded in place of its result; otherwise the first one is
                raised and ends the map.

        Raises:
            ConfigError: ``in_flight`` is below 1.
            SkerryError: the error that a call ended with.
        """
        if in_flight < 1:
            raise ConfigError(f"in_flight = {in_flight}: must be at least 1", field="in_flight")

        def call(item: Any, cancellation: Cancellation) -> Any:
            return self._call((item,), {}, cancellation)

        return map_calls(call, items, in_flight=in_flight, return_errors=return_errors)

    def spawn(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Have the platform run the function on its own, and return at once.

        Raises:
            EngineNotRunningError: there is no platform to call.
        """
        from skerry.app.job import Job

        body, content_type = self._encode(args, kwargs)
        platform = self._binding.current()
        record = platform.submit(
            self.name, body, content_type=content_type, accept=MSGPACK, idempotent=self._idempotent
        )
        return Job(record.id, platform, self.signature)

    @property
    def _idempotent(self) -> bool:
        return bool(self.options.get("idempotent", False))

    def _encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[bytes, str]:
        # MessagePack keeps what JSON has no word for; a CloudEvent has a form of its own.
        content_type = CLOUD_EVENT if self.signature.takes_event else MSGPACK
        return self.signature.encode_call(args, kwargs, content_type), content_type

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], cancellation: Cancellation | None) -> R:
        body, content_type = self._encode(args, kwargs)
        answer = self._binding.current().invoke(
            self.name,
            body,
            content_type=content_type,
            accept=MSGPACK,
            idempotent=self._idempotent,
            cancellation=cancellation,
        )
        value: R = self.signature.decode_result(answer.body, answer.content_type, answer.headers)
        return value

    def _run_here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self._local is None:
            self._local = _load(self.handler)
        return self._local(*args, **kwargs)


class Function(BaseFunction[P, R]):
    """A function of an app: calling it runs it here, ``remote``, ``map`` and ``spawn`` run it on a platform."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and return its result."""
        result: R = self._run_here(args, kwargs)
        return result


class AsyncFunction(BaseFunction[P, R]):
    """An async function of an app: calling it gives the coroutine, ``remote``, ``map`` and ``spawn`` its result."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Return the coroutine that runs the function here."""
        result: Coroutine[Any, Any, R] = self._run_here(args, kwargs)
        return result


def make_function(
    handler: Callable[..., Any], *, name: str, options: Mapping[str, Any], binding: Binding
) -> BaseFunction[Any, Any]:
    """Return the `Function` or `AsyncFunction` of a handler: a plain or async function, or a class with ``__call__``.

    Raises:
        ConfigError: the handler is none of these.
    """
    called: Any = handler
    if inspect.isclass(handler):
        called = inspect.getattr_static(handler, "__call__", None)
        if not inspect.isfunction(called):
            raise ConfigError(f"class {handler.__name__}: a handler's class needs a method __call__")
    elif not inspect.isfunction(handler):
        raise ConfigError(f"{handler!r}: decorate a function, an async function, or a class with __call__")
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise ConfigError(f"function {name!r} is a generator: return a list instead")
    kind = AsyncFunction if inspect.iscoroutinefunction(called) else Function
    return kind(handler, name=name, options=options, binding=binding)


def _load(handler: Callable[..., Any]) -> Callable[..., Any]:
    return _load_object(handler()) if inspect.isclass(handler) else handler


def _load_object(instance: Any) -> Callable[..., Any]:
    loaded: Callable[..., Any] = instance
    load = getattr(instance, "load", None)
    if load is None:
        return loaded
    if not inspect.iscoroutinefunction(load):
        load()
        return loaded
    import asyncio

    if not inspect.iscoroutinefunction(type(instance).__call__):
        asyncio.run(load())
        return loaded
    loading: list[asyncio.Task[Any]] = []

    async def load_and_call(*args: Any, **kwargs: Any) -> Any:
        if not loading:
            loading.append(asyncio.ensure_future(load()))
        await loading[0]
        return await loaded(*args, **kwargs)

    return load_and_call
