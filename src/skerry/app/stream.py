"""Functions whose handlers are generators: their results come one by one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar

from skerry.app.function import BaseFunction
from skerry.errors import ConfigError, TransportError

if TYPE_CHECKING:
    from skerry.app.encoding import EncodedCall
    from skerry.app.inheritance import Inherited
    from skerry.payload import Signature
    from skerry.platforms import AnswerStream, Cancellation

P = ParamSpec("P")
R = TypeVar("R")

_END = object()


class BaseStream(BaseFunction[P, list[R]], Generic[P, R]):
    """What the functions of plain and async generators have in common; made by :meth:`skerry.App.function`."""

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        """Run the function on the platform and yield its results as they come.

        Nothing runs before the first result is asked for. Closing the iterator, or leaving a ``for`` loop over it,
        cancels the call.

        Raises:
            EngineNotRunningError: there is no platform to call.
            SkerryError: the error that the call ended with, after the results that came before it.
        """
        from skerry.app.inheritance import inherited
        from skerry.platforms import Cancellation

        return self._pieces(self._encode(args, kwargs), inherited(), Cancellation())

    def astream(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        """Return what :meth:`stream` does, for ``async for``: other tasks run while a result is awaited."""
        from skerry.app.inheritance import inherited

        return self._pieces_async(self._encode(args, kwargs), inherited())

    def spawn(self, *args: P.args, **kwargs: P.kwargs) -> NoReturn:
        """Refuse: a job keeps one result.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"function {self.name!r} is a generator, and a job keeps one result: call stream() or remote(), or return "
            "a list"
        )

    def _call(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], caller: Inherited, cancellation: Cancellation
    ) -> list[R]:
        return list(self._pieces(self._encode(args, kwargs), caller, cancellation))

    def _pieces(self, call: EncodedCall, caller: Inherited, cancellation: Cancellation) -> Generator[R, None, None]:
        from skerry.app.encoding import MSGPACK

        platform = self._platform()
        answer = call.run_on(
            platform,
            lambda: platform.stream(
                self.name,
                call.body,
                content_type=call.content_type,
                accept=MSGPACK,
                options=caller.apply(self._asked),
                cancellation=cancellation,
            ),
        )
        with answer:
            yield from _read_results(answer, self.signature)

    async def _pieces_async(self, call: EncodedCall, caller: Inherited) -> AsyncIterator[R]:
        from skerry.app.threads import in_thread
        from skerry.platforms import Cancellation

        cancellation = Cancellation()
        pieces = self._pieces(call, caller, cancellation)
        try:
            while True:
                piece: Any = await in_thread(lambda: next(pieces, _END), cancellation)
                if piece is _END:
                    return
                yield piece
        finally:
            cancellation.cancel()
            # One that a thread still waits in ends by itself: its connection is closed.
            if inspect.getgeneratorstate(pieces) != inspect.GEN_RUNNING:
                pieces.close()


def _read_results(answer: AnswerStream, signature: Signature) -> Iterator[Any]:
    from skerry.app.encoding import MSGPACK
    from skerry.payload.media import OCTETS
    from skerry.payload.stream import PieceReader

    kind = answer.content_type.partition(";")[0]
    if kind == OCTETS:
        yield from answer
        return
    if kind != MSGPACK:
        raise TransportError(f"the stream is {answer.content_type}, not {MSGPACK}", sent=True)
    reader = PieceReader(signature)
    for chunk in answer:
        yield from reader.feed(chunk)


class StreamFunction(BaseStream[P, R]):
    """A generator function of an app: calling it gives its iterator here, ``stream`` the one of a platform.

    ``remote`` and ``map`` wait for the end and return the results as a list.
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        """Return the iterator of the function's results here."""
        result: Iterator[R] = self._run_here(args, kwargs)
        return result


class AsyncStreamFunction(BaseStream[P, R]):
    """An async generator function of an app: calling it gives its iterator here, ``astream`` the one of a platform.

    ``remote`` and ``map`` wait for the end and return the results as a list.
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        """Return the async iterator of the function's results here."""
        result: AsyncIterator[R] = self._run_here(args, kwargs)
        return result
