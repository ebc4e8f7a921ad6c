"""Functions of an app: plain to call here, and callable on a platform."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar, get_args, overload

from skerry.app.binding import Binding
from skerry.app.options import UNSET, Unset, call_options
from skerry.errors import ConfigError, PrivacyError, SkerryError

# What only calls need is imported with the first one: most functions answer calls, and make none.
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from skerry.app.encoding import EncodedCall
    from skerry.app.inheritance import Inherited
    from skerry.app.job import Job
    from skerry.app.places import Place
    from skerry.app.spreading import Lost, Rules, Spread, Watch
    from skerry.payload import Signature
    from skerry.platforms import CallOptions, Cancellation, Platform

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
S = TypeVar("S")
A_contra = TypeVar("A_contra", contravariant=True)
S_co = TypeVar("S_co", covariant=True)

# Of a call in a map over several sites, before it goes elsewhere.
SPREAD_PATIENCE_S = 2.0
# Options of a call that mean nothing to a job, which outlives its caller and runs when there is room.
NOT_FOR_JOBS = ("timeout", "priority", "group", "weight")


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
        self._signatures: list[Signature] = []  # the one, once it was needed; shared with the copies that are bound

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @functools.cached_property
    def _asked(self) -> CallOptions:
        from skerry.platforms import CallOptions

        return CallOptions(idempotent=bool(self.options.get("idempotent", False)), app=self._binding.app)

    @property
    def signature(self) -> Signature:
        """How arguments and results travel; made at first use, because it needs the schema library."""
        if not self._signatures:
            from skerry.payload import Signature

            self._signatures.append(Signature.of(self.handler))
        return self._signatures[0]

    def at(self, place: Place) -> Self:
        """Return the same function with its calls bound to a place.

        Args:
            place: A site's name in ``skerry.toml``, beside the function's file or in the current folder; a `Site`; or
                a platform.

        Raises:
            ConfigError: no such site is named, or its token is not there.

        Example:
            ``train.at("edge-1").remote(rows)``
        """
        from skerry.app.places import platform_at

        bound = copy.copy(self)
        bound._binding = Binding(platform_at(place, folder=self._folder()), app=self._binding.app)
        return bound

    @property
    def keeps_jobs(self) -> bool:
        """Whether the place that calls go to keeps jobs, so that :meth:`spawn` works there."""
        return bool(getattr(self._platform(), "keeps_jobs", True))

    def _folder(self) -> Path | None:
        from skerry.app.places import folder_of

        module = sys.modules.get(self.handler.__module__)
        file = getattr(module, "__file__", None) or getattr(self.handler, "__globals__", {}).get("__file__")
        return None if file is None else folder_of(file)

    def with_options(
        self,
        *,
        timeout: str | Unset | None = UNSET,
        priority: int | Unset | None = UNSET,
        group: str | Unset | None = UNSET,
        weight: float | Unset | None = UNSET,
        wait: str | Unset | None = UNSET,
    ) -> Self:
        """Return the same function whose calls carry these options; what is left out stays as it is.

        Args:
            timeout: Time until nobody waits for the answer any more, like ``"250ms"``, at most a day. A call that has
                not begun by then is not run, one that has is told to stop. None waits; inside a handler it then waits
                for as long as the call that is being answered.
            priority: 0 (most urgent) to 7; none means 3 (RFC 9218).
            group: Only calls of the same group share a batch.
            weight: What the call weighs in its batch, above 0; none means what the function's ``batch`` says.
            wait: How long :meth:`spawn` may wait for the job's end, like ``"2s"``, at most a minute: one exchange then
                brings the result of a short one. None only has it accepted. It means nothing to other calls.

        Raises:
            SpecError: a value has a wrong type or is out of range.

        Example:
            ``classify.with_options(timeout="250ms", priority=1).remote(image)``
        """
        bound = copy.copy(self)
        bound._asked = call_options(
            self._asked, timeout=timeout, priority=priority, group=group, weight=weight, wait=wait
        )
        return bound

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function on the platform and wait for its result.

        Inside a handler, the call belongs to the trace of the call that is being answered, and ends with its deadline
        unless it has a timeout of its own.

        Raises:
            EngineNotRunningError: there is no platform to call.
            DeadlineExceededError: no answer came in time.
            SkerryError: the error that the call ended with.
        """
        from skerry.app.inheritance import inherited
        from skerry.platforms import Cancellation

        return self._call(args, kwargs, inherited(), Cancellation())

    async def aremote(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Await what :meth:`remote` returns: other tasks run meanwhile. Cancelling the wait cancels the call.

        The call blocks a thread of its own, at most 256 at a time; further ones wait for a thread.

        Example:
            ``await asyncio.gather(*(fetch.aremote(address) for address in addresses))``
        """
        from skerry.app.inheritance import inherited
        from skerry.app.threads import in_thread
        from skerry.platforms import Cancellation

        caller, cancellation = inherited(), Cancellation()
        return await in_thread(lambda: self._call(args, kwargs, caller, cancellation), cancellation)

    @overload
    def map(
        self: TakesItem[A, S],
        items: Iterable[A],
        *,
        in_flight: int = ...,
        return_errors: Literal[False] = ...,
        sites: Sequence[Place] | None = ...,
        lost: Lost = ...,
        watch: Watch | None = ...,
    ) -> Iterator[S]: ...
    @overload
    def map(
        self: TakesItem[A, S],
        items: Iterable[A],
        *,
        in_flight: int = ...,
        return_errors: Literal[True],
        sites: Sequence[Place] | None = ...,
        lost: Lost = ...,
        watch: Watch | None = ...,
    ) -> Iterator[S | SkerryError]: ...
    def map(
        self,
        items: Iterable[Any],
        *,
        in_flight: int = 32,
        return_errors: bool = False,
        sites: Sequence[Place] | None = None,
        lost: Lost = "elsewhere",
        watch: Watch | None = None,
    ) -> Iterator[Any]:
        """Run the function once per item, several at a time, and yield the results in the order of the items.

        Each result comes as soon as its turn has come, and items are taken only as they are needed. Nothing runs before
        the first result is asked for. Closing the iterator, or leaving a ``for`` loop over it, ends the calls.

        Over several sites, each call goes to one that has room. A site that does not answer is named in a warning, gets
        nothing more until it answers again, and what it had goes elsewhere: calls that it has not seen always, calls
        whose answer was lost only if the function is ``idempotent``.

        Args:
            items: The first argument of each call.
            in_flight: Most calls at a time, at each site if there are several; at least 1.
            return_errors: Whether the error of a call is yielded in place of its result; otherwise the first one is
                raised and ends the map.
            sites: Where the calls go: names in ``skerry.toml``, `Site` values or platforms; by default, where the
                function is bound to.
            lost: ``fail`` if the calls that a lost site had should fail instead of going elsewhere.
            watch: Called with a `SiteEvent` for each call that a site has answered, and for each site that is lost or
                back; from several threads.

        Raises:
            ConfigError: ``in_flight`` is below 1, ``sites`` is empty, or no such site is named.
            SiteUnreachableError: no site has answered for 30 s.
            SkerryError: the error that a call ended with.

        Example:
            ``train.map(jobs, sites=["edge-1", "edge-2"])``
        """
        if in_flight < 1:
            raise ConfigError(f"in_flight = {in_flight}: must be at least 1", field="in_flight")

        from skerry.app.inheritance import inherited
        from skerry.app.mapping import map_calls
        from skerry.app.spreading import Rules

        # Taken here: the threads of the map answer no call.
        caller = inherited()
        if sites is not None:
            rules = Rules(in_flight=in_flight, lost=lost, idempotent=self._asked.idempotent, watch=watch)
            spread: Spread[Any] = self._spread(sites, rules, caller)
            total = in_flight * len(sites)
            return map_calls(spread.call, enumerate(items), in_flight=total, return_errors=return_errors)

        def call(item: Any, cancellation: Cancellation) -> Any:
            return self._call((item,), {}, caller, cancellation)

        return map_calls(call, items, in_flight=in_flight, return_errors=return_errors)

    def _spread(self, sites: Sequence[Place], rules: Rules, caller: Inherited) -> Spread[Any]:
        from skerry.app.places import platform_at
        from skerry.app.spreading import Lost, Spread, site_names

        if isinstance(sites, str) or not sites:
            raise ConfigError(f"sites = {sites!r}: give a list of at least one site", field="sites")
        if rules.lost not in get_args(Lost):
            raise ConfigError(f"lost = {rules.lost!r}: write 'elsewhere' or 'fail'", field="lost")
        # A site that has stopped answering is given up soon: the work can go elsewhere meanwhile.
        platforms = [platform_at(site, folder=self._folder(), patience_s=SPREAD_PATIENCE_S) for site in sites]

        def sender(platform: Platform) -> Callable[[Any, Cancellation], Any]:
            bound = self.at(platform)
            return lambda item, cancellation: bound._call((item,), {}, caller, cancellation)

        return Spread(
            [(n, p, sender(p)) for n, p in zip(site_names(platforms), platforms, strict=True)],
            rules,
        )

    def spawn(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Have the platform run the function on its own, and return at once; or after a wait, see :meth:`with_options`.

        Raises:
            EngineNotRunningError: there is no platform to call.
            ConfigError: the function has options that jobs do not take, from :meth:`with_options`.
        """
        from dataclasses import replace

        from skerry.app.encoding import MSGPACK
        from skerry.app.inheritance import inherited
        from skerry.app.job import Job

        for option in NOT_FOR_JOBS:
            if getattr(self._asked, "timeout_s" if option == "timeout" else option) is not None:
                raise ConfigError(
                    f"function {self.name!r}: a job takes no {option}; leave it out of with_options()", field=option
                )
        platform = self._platform()
        call = self._encode(args, kwargs)
        options = inherited().apply(self._asked)
        if options.timeout_s is not None:
            options = replace(options, timeout_s=None)
        call.send_inputs(platform, keep=True)
        record = platform.submit(self.name, call.body, content_type=call.content_type, accept=MSGPACK, options=options)
        return Job(record, platform, self.signature)

    def _platform(self) -> Platform:
        """Return where calls go.

        Raises:
            PrivacyError: that is another machine, and the function stays at its site.
        """
        platform = self._binding.current()
        if self.options.get("local") and not getattr(platform, "is_same_machine", False):
            where = getattr(platform, "address", type(platform).__name__)
            raise PrivacyError(
                f"function {self.name!r} is labelled local: it stays at its site, and {where} is another one",
                hint="call it on the site itself, from another function there",
            )
        return platform

    def _encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> EncodedCall:
        from skerry.app.encoding import encode_call

        return encode_call(self.name, self.signature, args, kwargs, self._folder())

    def _call(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], caller: Inherited, cancellation: Cancellation
    ) -> R:
        from skerry.app.encoding import MSGPACK

        platform = self._platform()
        call = self._encode(args, kwargs)
        answer = call.run_on(
            platform,
            lambda: platform.invoke(
                self.name,
                call.body,
                content_type=call.content_type,
                accept=MSGPACK,
                options=caller.apply(self._asked),
                cancellation=cancellation,
            ),
        )
        value: R = self.signature.decode_result(answer.body, answer.content_type, answer.headers)
        return value

    def _run_here(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self._local is None:
            from skerry.app.local import load_here

            self._local = load_here(self.handler)
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
