"""Requests to one server: sent again where that is safe, and given up when the caller's time is over."""

from __future__ import annotations

import itertools
import json
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from skerry.errors import (
    AnswerTooLargeError,
    DeadlineExceededError,
    FunctionNotFoundError,
    InternalError,
    SiteUnreachableError,
    SkerryError,
    TransportError,
    UnauthorizedError,
    from_problem,
)
from skerry.platforms.base import PLAIN_CALL, AnswerStream, Cancellation
from skerry.platforms.home import killed_engine, not_running
from skerry.platforms.http.connection import Address, ConnectionPool
from skerry.platforms.http.reply import Reply, Response, describe
from skerry.platforms.http.retry import retry_delay_s
from skerry.platforms.options import CallOptions

T = TypeVar("T")

# A client gives up this much after its deadline, seconds: the server's own word, which says more, then comes first.
GRACE_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Args:
        method: Of HTTP.
        path: With its query.
        body: Sent with its length; of pieces, chunked, unless the headers say the length. They may be asked for again.
        headers: Sent with those of the options.
        options: Deadline, priority and the like, and whether the request may run twice.
        wait_s: Longest silence of the server in seconds, where the options have no deadline.
        at_once: Whether it waits for no engine that was killed: a question about now.
    """

    method: str
    path: str
    body: bytes | Iterable[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    options: CallOptions = PLAIN_CALL
    wait_s: float | None = None
    at_once: bool = False


# The error that an answer means which is not Skerry's own.
ExplainAnswer = Callable[[Request, Response], SkerryError]


class Deadline:
    """The moment from which a caller does not wait any more.

    Args:
        timeout_s: Seconds from now; none never comes.
    """

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._ends_at = None if timeout_s is None else time.monotonic() + timeout_s

    def left_s(self) -> float | None:
        """Return the seconds that are left, not below 0; none without a deadline."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def patience_s(self, otherwise: float | None = None) -> float | None:
        """Return how long to wait for the server's next word, in seconds."""
        left_s = self.left_s()
        return otherwise if left_s is None else left_s + GRACE_S

    def error(self) -> DeadlineExceededError:
        """Return what a caller is told whose time is over."""
        return DeadlineExceededError(f"no answer within the call's timeout of {self._timeout_s:g} s")

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return self.left_s() == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """What is known of a server on another machine.

    Args:
        site: Its name, for messages; none where it has none.
        title: What messages call it; none means its name as that of a site.
        tls: What to expect of it; none means what the system's authorities say.
        connect_timeout_s: Longest time for a connection to come about, seconds; none leaves it to the call.
        most_answer_bytes: Largest whole answer that is taken: memory is not its to fill. None takes any.
    """

    site: str | None = None
    title: str | None = None
    tls: ssl.SSLContext | None = None
    connect_timeout_s: float | None = None
    most_answer_bytes: int | None = None


class Caller:
    """Sends requests to one server: an engine, or the ingress of a cluster.

    Args:
        address: Where it is.
        token: Needed for control over TCP.
        patience_s: Most seconds to wait, in total, before a request is not sent again.
        expected: Whether the engine is known to exist; one that was never reached is otherwise reported as not running
            at once.
        remote: What is known of it where it is on another machine.
        explain_answer: Returns the error that an answer of 300 and above means, where it is not Skerry's own.
    """

    def __init__(
        self,
        address: Address,
        *,
        token: str | None,
        patience_s: float,
        expected: bool,
        remote: Remote | None = None,
        explain_answer: ExplainAnswer | None = None,
    ) -> None:
        remote = Remote() if remote is None else remote
        self.address = address
        self.pool = ConnectionPool(address, tls=remote.tls, connect_timeout_s=remote.connect_timeout_s)
        self._site = remote.site
        self._most_answer_bytes = remote.most_answer_bytes
        self._title = f"site {remote.site!r}" if remote.title is None else remote.title
        self._explain_answer = _not_ours if explain_answer is None else explain_answer
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._patience_s = patience_s
        self._seen = expected

    def request(self, request: Request, cancellation: Cancellation | None = None) -> Response:
        """Send a request and return its whole response, whose status is below 300.

        Raises:
            SkerryError: the error that the server answered with, or that kept it from answering.
        """
        return self._repeat(request, lambda reply, _: self._whole(reply), cancellation)

    def stream(self, request: Request, cancellation: Cancellation | None = None) -> AnswerStream:
        """Send a request and return its response, whose status is below 300, as soon as it begins.

        Raises:
            SkerryError: the error that the server answered with, or that kept it from answering.
        """
        return self._repeat(request, ReplyStream, cancellation)

    def _repeat(self, request: Request, finish: Callable[[Reply, Deadline], T], cancellation: Cancellation | None) -> T:
        cancellation = cancellation or Cancellation()
        deadline = Deadline(request.options.timeout_s)
        waited_s = 0.0
        for attempt in itertools.count(1):
            answer_headers: Mapping[str, str] = {}
            try:
                reply = self._open(request, deadline, cancellation)
                if reply.status < 300:
                    return finish(reply, deadline)
                response = self._whole(reply)
            except TransportError as error:
                if deadline.passed:
                    raise deadline.error() from error
                # One that cannot prove who it is will not be able to in a second either.
                hopeless = not self._seen or isinstance(error.__cause__, ssl.SSLError)
                hopeless = hopeless or (request.at_once and self._was_killed(error))
                failure: SkerryError = self._explain(error) if hopeless else error
            else:
                failure, answer_headers = self._failure(request, response), response.headers
            delay_s = retry_delay_s(
                failure,
                answer_headers,
                idempotent=request.options.idempotent,
                attempt=attempt,
                waited_s=waited_s,
                patience_s=self._patience_s,
                left_s=deadline.left_s(),
            )
            if delay_s is None or cancellation.cancelled:
                raise self._explain(failure)
            cancellation.wait(delay_s)
            waited_s += delay_s
        raise InternalError("the loop of attempts ended")

    def _open(self, request: Request, deadline: Deadline, cancellation: Cancellation) -> Reply:
        reply = self.pool.open(
            request.method,
            request.path,
            body=request.body,
            headers={**self._headers, **request.options.headers(left_s=deadline.left_s()), **request.headers},
            timeout_s=deadline.patience_s(request.wait_s),
            cancellation=cancellation,
        )
        self._seen = True
        return reply

    def _whole(self, reply: Reply) -> Response:
        try:
            return reply.read_all(most_bytes=self._most_answer_bytes)
        except AnswerTooLargeError as error:
            raise AnswerTooLargeError(
                f"{self._where()}: {error.message}",
                hint="if such answers are meant, raise max_answer of the site in skerry.toml",
                site=self._site,
            ) from error

    def _explain(self, error: SkerryError) -> SkerryError:
        """Return the error as its caller should read it: with the site's name, or with what to start."""
        if "site" in error.details:  # explained already
            return error
        if isinstance(error, UnauthorizedError) and self._site is not None:
            named: SkerryError = UnauthorizedError(
                f"{self._where()} refuses the token; on the site, `skerry sites token` prints the one that opens it",
                site=self._site,
            )
        elif isinstance(error, FunctionNotFoundError) and self._site is not None and "owner" in error.details:
            named = FunctionNotFoundError(f"{self._where()}: {error.message}", **error.details, site=self._site)
        elif not isinstance(error, TransportError):
            return error
        elif not isinstance(error.__cause__, OSError) or error.details.get("sent", True):
            if self._site is None:
                return error
            named = TransportError(f"{self._where()} was lost: {error.message}", **error.details, site=self._site)
        # A connection that could not be opened: nobody listens there.
        elif self._site is None:
            socket = self.address.path
            named = not_running(self.address, home=None if socket is None else socket.parent)
        else:
            named = SiteUnreachableError(
                f"{self._where()} does not answer: {_why_unreachable(error.__cause__)}", site=self._site, sent=False
            )
        named.__cause__ = error
        return named

    def _was_killed(self, error: TransportError) -> bool:
        """Whether the connection could not be opened because the engine of this machine's folder was killed."""
        socket = self.address.path
        return socket is not None and not error.details.get("sent", True) and killed_engine(socket.parent) is not None

    def _where(self) -> str:
        return f"{self._title} at {self.address}"

    def _failure(self, request: Request, response: Response) -> SkerryError:
        try:
            problem = json.loads(response.body)
        except ValueError:
            problem = None
        if isinstance(problem, dict) and isinstance(problem.get("code"), str):
            return from_problem(problem)
        return self._explain_answer(request, response)


class ReplyStream(AnswerStream):
    """The body of a reply, up to the caller's deadline.

    Args:
        reply: With its head read.
        deadline: Of the whole answer.
    """

    def __init__(self, reply: Reply, deadline: Deadline) -> None:
        super().__init__(reply.headers.get("content-type", "application/octet-stream"), reply.headers)
        self._reply = reply
        self._deadline = deadline

    def read(self) -> bytes:
        """Wait for more of the body and return it; empty at its end."""
        try:
            return self._reply.read_some(timeout_s=self._deadline.patience_s())
        except TransportError as error:
            if self._deadline.passed:
                raise self._deadline.error() from error
            raise

    def close(self) -> None:
        """Let go of the answer; a call that still runs is cancelled."""
        self._reply.close()


def _not_ours(_: Request, response: Response) -> SkerryError:
    text = response.body[:200].decode("utf-8", "replace").strip()
    return TransportError(f"answer {response.status} that is not Skerry's: {text or 'empty'}", sent=True)


def _why_unreachable(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not the one that is expected: {error.verify_message}"
    return "no connection within the time for one" if isinstance(error, TimeoutError) else describe(error)
