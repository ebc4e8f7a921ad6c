"""What starts functions besides calls: events and the clock."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload, runtime_checkable

from skerry.app.binding import Binding
from skerry.app.chain import Chain
from skerry.app.decorator import AsyncHandlerObject, HandlerObject
from skerry.app.function import AsyncFunction, BaseFunction, Function
from skerry.app.inheritance import Inherited, inherited
from skerry.errors import ConfigError, SpecError
from skerry.spec import Filter, Retry, Timer, Trigger

if TYPE_CHECKING:
    from skerry.payload import Event, Items

A = TypeVar("A")
F = TypeVar("F", bound=BaseFunction[Any, Any])
P = ParamSpec("P")
R = TypeVar("R")

ANY_SOURCE = "/skerry"  # what an event that names no source has


@runtime_checkable
class Publishes(Protocol):
    """A platform with a broker."""

    def publish(self, events: Iterable[Event]) -> Any:
        """Hand events to the broker."""


class Starter(Protocol):
    """What ``@app.on(...)`` is before it is given the handler; a function or a chain of the app stays what it is."""

    @overload
    def __call__(self, handler: F, /) -> F: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Chain, /
    ) -> Chain: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[AsyncHandlerObject[P, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def __call__(self, handler: type[HandlerObject[P, R]], /) -> Function[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[[Items[A]], Coroutine[Any, Any, Sequence[R]]], /
    ) -> AsyncFunction[[A], R]: ...
    @overload
    def __call__(self, handler: Callable[[Items[A]], Sequence[R]], /) -> Function[[A], R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def __call__(self, handler: Callable[P, R], /) -> Function[P, R]: ...
    def __call__(self, handler: Any, /) -> Any:
        """Return the handler as a function of the app that is started so."""


class StartsFunctions:
    """The part of an app that says what starts its functions; an app is one of these."""

    _binding: Binding

    def on(
        self, event: Event | None = None, /, *, filter: Filter | None = None, batch: int = 1, retry: Retry | None = None
    ) -> Starter:
        """Start a function with events: each that the broker accepts and that fits is given to it, at least once.

        Events with the same attribute ``partitionkey`` are given one after the other, in the order of their
        acceptance; others side by side. A function may be started by several kinds of events: decorate it again.

        Args:
            event: An example: what it says of type, source (other than the default), subject and extensions must be so.
            filter: What must be so besides; see :class:`skerry.Filter`.
            batch: Most events that one call gets as a list, for a handler that takes ``list[skerry.Event]``; 1 gives
                them singly.
            retry: What becomes of an event that the function fails on; ten retries with growing pauses by default.

        Raises:
            SpecError: a value has a wrong type or is out of range.

        Example:
            ``@app.on(skerry.Event(type="net.flow.window"), filter=~skerry.Filter.exact(subject="lab"))``
        """
        conditions = [] if event is None else [Filter.exact(**_attributes_of(event))]
        conditions += [] if filter is None else [filter]
        wanted = conditions[0] if len(conditions) == 1 else None
        if len(conditions) == 2:
            wanted = conditions[0] & conditions[1]
        return self._starter("triggers", Trigger(filter=wanted, batch=batch, retry=retry or Retry()))

    def every(self, period: str, /, *, retry: Retry | None = None) -> Starter:
        """Start a function again and again; a moment is left out while the function has not finished the one before.

        Args:
            period: Time between two starts with its unit, 100 ms to 31 days. The moments are whole multiples of it
                since 1970, UTC.
            retry: What becomes of a start that the function fails on.

        Raises:
            SpecError: it is not of that form.

        Example:
            ``@app.every("30s")``
        """
        return self._starter("timers", Timer(every=period, retry=retry or Retry()))

    def cron(self, expression: str, /, *, zone: str = "UTC", retry: Retry | None = None) -> Starter:
        """Start a function at the moments of a cron expression; those that pass while no engine runs are left out.

        Args:
            expression: Minute, hour, day of the month, month, day of the week, as crontab(5) has them.
            zone: Whose clock it is.
            retry: What becomes of a start that the function fails on.

        Raises:
            SpecError: it is not of that form.

        Example:
            ``@app.cron("0 3 * * *", zone="Europe/Oslo")``
        """
        return self._starter("timers", Timer(cron=expression, zone=zone, retry=retry or Retry()))

    def publish(self, *events: Event) -> None:
        """Hand events to the broker of the engine that the app's functions call; they are durable when this returns.

        In a handler, they carry the trace of what it answers, unless they carry one of their own.

        Raises:
            ConfigError: one of them is no event, or the functions call no engine.
            QueueFullError: so many events wait that no more are taken; none of these was.
            EngineNotRunningError: there is no engine.

        Example:
            ``app.publish(skerry.Event(type="door.opened", data={"door": 3}))``
        """
        events = tuple(_event(event) for event in events)
        platform = self._binding.current()
        if not isinstance(platform, Publishes):
            raise ConfigError(
                f"{type(platform).__name__} has no broker of Skerry's",
                hint="on a cluster, send events to the address of its broker",
            )
        trace = inherited()
        platform.publish([_in_trace(event, trace) for event in events])

    def _starter(self, option: str, start: Trigger | Timer) -> Starter:
        def declare(decorated: Any) -> BaseFunction[Any, Any] | Chain:
            if isinstance(decorated, BaseFunction | Chain):
                function = decorated if isinstance(decorated, BaseFunction) else decorated.function
            else:
                name = getattr(decorated, "__name__", "").lower()
                function = self._declare(decorated, name, {})
            # Decorators are applied from below: what stands above comes first.
            function.options[option] = (start, *function.options.get(option, ()))
            return decorated if isinstance(decorated, Chain) else function

        return cast(Starter, declare)

    def _declare(self, handler: Callable[..., Any], name: str, options: Mapping[str, Any]) -> BaseFunction[Any, Any]:
        raise NotImplementedError


def _attributes_of(event: Event) -> dict[str, str]:
    from skerry.payload import Event

    if not isinstance(event, Event):
        raise SpecError(f"app.on: {event!r}: give it an event as an example, like skerry.Event(type='net.flow.window')")
    found = {"type": event.type, "subject": event.subject, **event.extensions}
    if event.source != ANY_SOURCE:
        found["source"] = event.source
    found = {name: value for name, value in found.items() if value is not None}
    return {
        name: value if isinstance(value, str) else str(value).lower()
        for name, value in found.items()
        if value is not None
    }


def _event(value: Any) -> Event:
    from skerry.payload import Event

    if not isinstance(value, Event):
        raise ConfigError(f"publish: {value!r:.100} is no event: write skerry.Event(type=..., data=...)")
    return value


def _in_trace(event: Event, trace: Inherited) -> Event:
    """Return an event with the trace of the call that is being answered, in CloudEvents' extension for it."""
    if trace.traceparent is None or "traceparent" in event.extensions:
        return event
    state = trace.tracestate or ""
    known = {"tracestate": state} if state and state.isascii() and state.isprintable() else {}
    return replace(event, extensions={**event.extensions, "traceparent": trace.traceparent, **known})
