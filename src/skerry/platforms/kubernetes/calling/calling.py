"""Calls to functions of a cluster, over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import quote, unquote

from skerry.errors import ConfigError, SiteUnreachableError, SkerryError, TransportError, UnavailableError
from skerry.platforms.base import PLAIN_CALL, Answer, AnswerStream, Cancellation, JobRecord, Platform
from skerry.platforms.http.caller import Caller, Remote, Request
from skerry.platforms.http.connection import Address
from skerry.platforms.http.reply import Response
from skerry.platforms.kubernetes.calling.answers import cluster_error, redirect_error
from skerry.platforms.kubernetes.calling.routes import Route, Routes
from skerry.platforms.options import CallOptions

if TYPE_CHECKING:
    from skerry.platforms.outgoing import Outgoing
    from skerry.spec import Site

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
_HOST = "Host"
_READY_PATH = "/health/readiness"


class CallingPlatform(Platform):
    """What the platforms of a cluster have in common: calls go over HTTP, and there are no jobs.

    Args:
        find: Returns the route of a function.
        title: What messages call the place, like ``knative in namespace 'edge'``.
        site: The site that it is; none where it is none.
        patience_s: Most seconds to wait, in total, before a request is not sent again.
    """

    keeps_jobs = False
    unreachable_hint = "see that its ingress runs and has this address"
    """What to do when nobody listens where calls go."""

    def __init__(self, find: Callable[[str], Route], *, title: str, site: Site | None, patience_s: float) -> None:
        self.site = site
        self.title = title if site is None else f"site {site.name!r}"
        self._patience_s = patience_s
        self._routes = Routes(find)
        self._lock = threading.Lock()
        self._callers: dict[Address, Caller] = {}
        self._stores: dict[str, str] = {}

    def invoke(
        self,
        function: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None = None,
        options: CallOptions = PLAIN_CALL,
        cancellation: Cancellation | None = None,
    ) -> Answer:
        """Run a function and wait for its answer; see `Platform.invoke`."""

        def run(caller: Caller, route: Route) -> Answer:
            response = caller.request(_request(function, route, body, content_type, accept, options), cancellation)
            return Answer(response.body, response.content_type, response.headers)

        return self._on_route(function, run)

    def stream(
        self,
        function: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None = None,
        options: CallOptions = PLAIN_CALL,
        cancellation: Cancellation | None = None,
    ) -> AnswerStream:
        """Run a function and return its answer as soon as it begins; see `Platform.stream`."""

        def run(caller: Caller, route: Route) -> AnswerStream:
            return caller.stream(_request(function, route, body, content_type, accept, options), cancellation)

        return self._on_route(function, run)

    def send_inputs(
        self, inputs: Sequence[Outgoing], *, function: str, keep: bool = False, again: bool = False
    ) -> None:
        """Write files and folders to the store of objects that the function's containers read; once each.

        Raises:
            ConfigError: its containers have none.
            PrivacyError: one of them must not leave its site; nothing was sent.
            StorageError: the store cannot be reached.
        """
        from skerry.platforms.kubernetes.calling.inputs import refuse_local, writer_to  # most programs send no files

        refuse_local(inputs, self.title)
        url = self._stores.get(function) or self._inputs_url(function)
        if url is None:
            named = ", ".join(item.path for item in inputs[:3])
            raise ConfigError(
                f"function {function!r} in {self.title} takes no files or folders ({named}): its containers know no "
                "store of objects",
                hint='deploy it with objects = "s3://BUCKET/PATH" under [platform.knative] or [platform.kubernetes]; '
                "a site that is known by its domain alone needs the same key",
            )
        self._stores[function] = url
        writer_to(url).send(inputs, again=again)

    def _inputs_url(self, function: str) -> str | None:
        """Return the address of the store of objects that a function's containers read inputs from; None without."""
        return None if self.site is None else self.site.objects

    def submit(
        self,
        function: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None = None,
        options: CallOptions = PLAIN_CALL,
    ) -> JobRecord:
        """Refuse jobs: nothing on the cluster would keep them."""
        self._refuse_jobs()

    def job(self, job_id: str, *, wait_s: float = 0.0) -> JobRecord:
        """Refuse jobs, as `submit` does."""
        self._refuse_jobs()

    def result(self, job_id: str, *, timeout_s: float | None = None) -> Answer:
        """Refuse jobs, as `submit` does."""
        self._refuse_jobs()

    def cancel(self, job_id: str) -> JobRecord:
        """Refuse jobs, as `submit` does."""
        self._refuse_jobs()

    def retry(self, job_id: str) -> JobRecord:
        """Refuse jobs, as `submit` does."""
        self._refuse_jobs()

    def round_trip_s(self, function: str, *, tries: int = 5) -> float:
        """Return the shortest time in which a function's pod says that it is ready, over an open connection, seconds.

        Args:
            function: The function; one at zero is started.
            tries: How often it is asked.
        """

        def ask(caller: Caller, route: Route) -> float:
            headers = {} if route.host is None else {_HOST: route.host}
            asked = Request(method="GET", path=_READY_PATH, headers=headers, wait_s=route.wait_s)
            took_s = []
            for _ in range(tries + 1):  # the first one opens the connection
                began_s = time.perf_counter()
                caller.request(asked)
                took_s.append(time.perf_counter() - began_s)
            return min(took_s)

        return self._on_route(function, ask)

    @property
    def address(self) -> str:
        """What messages call the place."""
        return self.title

    def close(self) -> None:
        """Close the idle connections; the next call opens new ones."""
        self._routes.clear()
        with self._lock:
            for caller in self._callers.values():
                caller.pool.close()

    def _refuse_jobs(self) -> NoReturn:
        raise ConfigError(
            f"{self.title} keeps no jobs: a pod that ends would take them with it",
            hint="wait for the answer (`.remote()`, `.map()`, `skerry invoke`), or run the job on an engine",
        )

    def _on_route(self, function: str, run: Callable[[Caller, Route], T]) -> T:
        route = self._routes.of(function)
        try:
            try:
                return run(self._caller(route.address), route)
            except SiteUnreachableError:
                # Nothing has run, and the way there may have changed: a port-forward ends with its pod.
                if not self._routes.forget(function, route):
                    raise
                found = self._routes.of(function)
                if found == route:
                    raise
                return run(self._caller(found.address), found)
        except TransportError as error:
            raise self._explain_loss(function, route, error) from error
        except SiteUnreachableError as error:
            if not self._is_entrance(route.address):
                raise
            raise SiteUnreachableError(error.message, **{"hint": self.unreachable_hint, **error.details}) from error

    def _is_entrance(self, address: Address) -> bool:
        """Whether an address is the cluster's own, and not one that this program has made."""
        return True

    def _why_lost(self, address: Address) -> SkerryError | None:
        """Return why connections to an address lead nowhere; none where nothing more is known."""
        return None

    def _explain_loss(self, function: str, route: Route, error: TransportError) -> SkerryError:
        """Return the error with what it means for the call: a caller has to know whether it may have run."""
        why = self._why_lost(route.address)
        if why is not None and why.details.get("reason") != "broken":
            return UnavailableError(f"{self.title}, function {function!r}: {why.message}")
        if not error.details.get("sent", True):
            return error
        reason = error.message if why is None else why.message
        return TransportError(
            f"{self.title} gave no answer of function {function!r}: {reason}; the call may have run",
            **{"hint": "declare it idempotent to have such calls sent again to another pod", **error.details},
        )

    def _caller(self, address: Address) -> Caller:
        name = self.title if self.site is None else self.site.name
        with self._lock:
            caller = self._callers.get(address)
            if caller is None:
                caller = self._callers[address] = Caller(
                    address,
                    token=None,
                    patience_s=self._patience_s,
                    expected=True,
                    remote=Remote(
                        site=name,
                        title=self.title,
                        connect_timeout_s=CONNECT_TIMEOUT_S,
                        most_answer_bytes=None if self.site is None else self.site.max_answer_bytes,
                    ),
                    explain_answer=_explain,
                )
            return caller


def _request(
    function: str, route: Route, body: bytes, content_type: str, accept: str | None, options: CallOptions
) -> Request:
    headers = {
        "Content-Type": content_type,
        **({} if accept is None else {"Accept": accept}),
        **({} if route.host is None else {_HOST: route.host}),
    }
    path = f"/function/{quote(function, safe='')}"
    return Request(method="POST", path=path, body=body, headers=headers, options=options, wait_s=route.wait_s)


def _explain(request: Request, response: Response) -> SkerryError:
    function = unquote(request.path.rpartition("/")[2])
    if response.status < 400:
        return redirect_error(response, function=function)
    return cluster_error(response, function=function, host=request.headers.get(_HOST))
