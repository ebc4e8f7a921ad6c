"""The embedded engine, as its callers see it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from skerry.errors import InternalError, JobNotReadyError, ObjectNotFoundError, TransportError
from skerry.platforms.base import ENDED, PLAIN_CALL, Answer, AnswerStream, Cancellation, JobRecord, JobStatus, Platform
from skerry.platforms.engine.chains import ChainClient
from skerry.platforms.engine.events import BrokerClient
from skerry.platforms.home import socket_path
from skerry.platforms.http.caller import Caller, Remote, Request
from skerry.platforms.http.connection import Address
from skerry.platforms.http.reply import Response
from skerry.platforms.options import CallOptions

if TYPE_CHECKING:
    from skerry.platforms.engine.inputs import InputSender
    from skerry.platforms.outgoing import Outgoing

CONTROL_TIMEOUT_S = 30.0
# Deploying may install an app's requirements.
DEPLOY_TIMEOUT_S = 1800.0
# One long poll for a result; short enough that a lost engine is noticed.
POLL_S = 20.0
# Between polls that came back early, so that an answer without waiting does not become a busy loop.
PAUSE_S = 0.05
# Of a result that came with its job: the job, as JSON.
JOB_HEADER = "skerry-job"

NO_HEADERS: Mapping[str, str] = {}
_MAY_RUN_TWICE = CallOptions(idempotent=True)


class EnginePlatform(BrokerClient, ChainClient, Platform):
    """A client of one engine.

    Args:
        address: ``http://HOST:PORT``, ``https://HOST:PORT``, or the path of the engine's Unix socket.
        token: Needed for control over TCP.
        patience_s: Most seconds to wait, in total, before a request is not sent again: for room in a queue, or for an
            engine that restarts.
        expected: Whether the engine is known to exist; an engine that was never reached is otherwise reported as not
            running at once.
        remote: What is known of it where it is on another machine.
    """

    def __init__(
        self,
        address: str | Path,
        *,
        token: str | None = None,
        patience_s: float = 60.0,
        expected: bool = False,
        remote: Remote | None = None,
    ) -> None:
        place = Address.parse(address)
        self._caller = Caller(place, token=token, patience_s=patience_s, expected=expected, remote=remote)

    @classmethod
    def of_home(cls, home: Path, *, patience_s: float = 60.0, expected: bool = False) -> EnginePlatform:
        """Return the client of the engine that owns a folder."""
        return cls(socket_path(home), patience_s=patience_s, expected=expected)

    def send_inputs(
        self, inputs: Sequence[Outgoing], *, function: str, keep: bool = False, again: bool = False
    ) -> None:
        """Have the engine get the files and folders that a call will refer to; see `Platform.send_inputs`."""
        try:
            self._inputs.send(inputs, keep=keep, again=again)
        except TransportError as error:
            error.details["sent"] = False  # the call itself was not: it may go elsewhere
            raise

    @cached_property
    def _inputs(self) -> InputSender:
        from skerry.platforms.engine.inputs import InputSender  # most programs send no files

        return InputSender(self._caller)

    @property
    def address(self) -> str:
        """Where the engine is reached: a URL, or the path of a socket."""
        return str(self._caller.address)

    @property
    def is_same_machine(self) -> bool:
        """Whether the engine is on this machine: reached over its socket, or on loopback without TLS."""
        return self._caller.address.is_same_machine

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
        return _answer(self._caller.request(_call(function, body, content_type, accept, options), cancellation))

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
        return self._caller.stream(_call(function, body, content_type, accept, options), cancellation)

    def submit(
        self,
        function: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None = None,
        options: CallOptions = PLAIN_CALL,
    ) -> JobRecord:
        """Accept a call now and run it later; see `Platform.submit`."""
        if options.timeout_s is not None:
            options = replace(options, timeout_s=None)
        # The preference counts whole seconds.
        waits_s = 0 if options.wait_s is None else math.ceil(options.wait_s)
        prefer = {"Prefer": f"respond-async, wait={waits_s}" if waits_s else "respond-async"}
        response = self._caller.request(
            _call(function, body, content_type, accept, options, more=prefer, wait_s=waits_s + CONTROL_TIMEOUT_S)
        )
        if JOB_HEADER in response.headers:
            return JobRecord.from_json(json.loads(response.headers[JOB_HEADER]), answer=_answer(response))
        return JobRecord.from_json(_json(response))

    def job(self, job_id: str, *, wait_s: float = 0.0) -> JobRecord:
        """Return what is known about a job; see `Platform.job`."""
        if not wait_s:
            return JobRecord.from_json(self._control("GET", _job_path(job_id), at_once=True))
        waits_s = min(wait_s, POLL_S)
        path = f"{_job_path(job_id)}?wait_s={waits_s:.3f}"
        return JobRecord.from_json(self._control("GET", path, timeout_s=waits_s + CONTROL_TIMEOUT_S))

    def result(self, job_id: str, *, timeout_s: float | None = None) -> Answer:
        """Wait for a job to end and return its answer; see `Platform.result`."""
        ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = POLL_S if ends_at is None else max(0.0, min(POLL_S, ends_at - time.monotonic()))
            path = f"{_job_path(job_id)}/result?wait_s={left_s:.3f}"
            try:
                asked = Request(
                    method="GET",
                    path=path,
                    options=_MAY_RUN_TWICE,
                    wait_s=left_s + CONTROL_TIMEOUT_S,
                    at_once=timeout_s == 0,
                )
                return _answer(self._caller.request(asked))
            except JobNotReadyError as error:
                record = JobRecord.from_json(self._control("GET", _job_path(job_id), at_once=timeout_s == 0))
                if record.status == "cancelled":
                    raise JobNotReadyError(f"job {job_id} was cancelled", status="cancelled") from error
                if record.status not in ENDED and ends_at is not None and time.monotonic() >= ends_at:
                    raise JobNotReadyError(
                        f"job {job_id} has not ended within {timeout_s:g} s; it is {record.status}",
                        status=record.status,
                    ) from error
            time.sleep(PAUSE_S)

    def cancel(self, job_id: str) -> JobRecord:
        """Stop a job, running or not, and return what is known about it now."""
        return JobRecord.from_json(self._control("DELETE", _job_path(job_id)))

    def retry(self, job_id: str) -> JobRecord:
        """Run a job that failed or was cancelled again, under its id; see `Platform.retry`."""
        # Asked for once: the second time, a job that waits again would look like a mistake.
        asked = Request(method="PUT", path=f"{_job_path(job_id)}/retry", options=PLAIN_CALL, wait_s=CONTROL_TIMEOUT_S)
        return JobRecord.from_json(_json(self._caller.request(asked)))

    def jobs(
        self, *, function: str | None = None, status: JobStatus | None = None, limit: int = 100
    ) -> list[JobRecord]:
        """Return the newest jobs, the newest first.

        Args:
            function: Only those that call this function.
            status: Only those with this status.
            limit: Most jobs to return, 1 to 10,000.
        """
        query = {"function": function, "status": status, "limit": limit}
        given = {key: value for key, value in query.items() if value is not None}
        return [JobRecord.from_json(job) for job in self._control("GET", f"/jobs?{urlencode(given)}")]

    def engine(self) -> dict[str, Any]:
        """Return the engine's version, process, address, home, workers and memory."""
        return dict(self._control("GET", "/engine"))

    def usage(self, *, function: str | None = None, since_s: float | None = None) -> list[dict[str, Any]]:
        """Return what functions have used, by revision and hour, the oldest first.

        Args:
            function: Only this function.
            since_s: Only hours that ended after this Unix time, seconds.
        """
        query = {key: value for key, value in (("function", function), ("since", since_s)) if value is not None}
        return list(self._control("GET", f"/usage?{urlencode(query)}"))

    def ready(self) -> bool:
        """Return whether the engine answers and accepts requests."""
        try:
            return self._caller.pool.request("GET", "/health/readiness", timeout_s=CONTROL_TIMEOUT_S).status == 200
        except TransportError:
            return False

    def deploy(
        self, target: str, *, flags: Sequence[str] = (), environment: str = "", bundle: str = ""
    ) -> dict[str, Any]:
        """Deploy an app, or a new revision of it.

        Args:
            target: ``/abs/file.py:app`` or ``package.module:app``; with a bundle, ``file.py:app`` in it.
            flags: ``FUNCTION.OPTION=VALUE`` settings.
            environment: Text of ``SKERRY_SET``.
            bundle: Digest of a bundle that the engine has; empty for what lies on its machine.

        Returns:
            ``app``, ``functions`` (``name``, ``revision``, ``address``) and ``changed``.
        """
        body = {"target": target, "flags": list(flags), "environment": environment}
        if bundle:
            body["bundle"] = bundle
        return dict(self._control("POST", "/apps", body, timeout_s=DEPLOY_TIMEOUT_S))

    def send_bundle(self, digest: str, bundle: bytes) -> bool:
        """Send a source bundle, unless the engine has it; return whether it was sent.

        Args:
            digest: Its digest, ``sha256-`` and 64 hexadecimal digits.
            bundle: Its bytes, compressed by gzip.
        """
        path = f"/bundles/{quote(digest, safe='')}"
        with suppress(ObjectNotFoundError):
            self._control("GET", path)
            return False
        headers = {"Content-Type": "application/x-tar", "Content-Encoding": "gzip"}
        asked = Request(
            method="PUT", path=path, body=bundle, headers=headers, options=_MAY_RUN_TWICE, wait_s=DEPLOY_TIMEOUT_S
        )
        self._caller.request(asked)
        return True

    def deployments(self, name: str) -> list[dict[str, Any]]:
        """Return the kept deployments of the app of a function, the present one first.

        Returns:
            ``number``, ``app``, ``functions`` (names), ``deployed_at`` (Unix time, seconds) and ``is_serving`` of each.
        """
        return list(self._control("GET", f"/functions/{quote(name, safe='')}/deployments"))

    def roll_back(self, name: str, *, to: int | None = None) -> dict[str, Any]:
        """Deploy the app of a function as it was before its latest deployment.

        Args:
            name: A function of the app.
            to: The number of the deployment to go back to, instead of the one before the latest.

        Returns:
            ``app``, ``functions`` (``function``, ``replaced``, ``serving``; none where it was not there, or is no
            more), and ``number`` and ``deployed_at`` (Unix time in seconds) of the deployment that serves again.
        """
        # Asked for once: the second time would go back further.
        path = f"/functions/{quote(name, safe='')}/rollback" + (f"?to={to}" if to is not None else "")
        asked = Request(method="POST", path=path, options=PLAIN_CALL, wait_s=DEPLOY_TIMEOUT_S)
        return dict(_json(self._caller.request(asked)))

    def apps(self) -> list[dict[str, Any]]:
        """Return the deployed apps."""
        return list(self._control("GET", "/apps"))

    def delete_app(self, name: str) -> dict[str, Any]:
        """Remove an app with its functions."""
        return dict(self._control("DELETE", f"/apps/{quote(name, safe='')}") or {})

    def functions(self) -> list[dict[str, Any]]:
        """Return what is known about every deployed function."""
        return list(self._control("GET", "/functions"))

    def function(self, name: str) -> dict[str, Any]:
        """Return all that is known about one function: its schema, support matrix and last error too."""
        return dict(self._control("GET", f"/functions/{quote(name, safe='')}"))

    def traffic(self, name: str) -> dict[str, Any]:
        """Return who gets a function's requests, how they do, and what was decided about it."""
        return dict(self._control("GET", _traffic_path(name)))

    def split_traffic(self, name: str, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Try a candidate beside what serves a function; an empty plan ends what is tried.

        Args:
            name: The function.
            plan: ``candidate`` (a version or an alias) and some of ``weight_ratio``, ``mirror``, ``sample_ratio``,
                ``sticky`` and ``automatic``.

        Returns:
            The same as `traffic`.
        """
        return dict(self._control("PUT", _traffic_path(name), dict(plan), timeout_s=DEPLOY_TIMEOUT_S))

    def promote(self, name: str) -> dict[str, Any]:
        """Make a function's candidate what serves it; returns ``function`` and ``promoted``, the version."""
        # Asked for once: the second time, there is no candidate any more.
        path = f"{_traffic_path(name)}/promote"
        asked = Request(method="PUT", path=path, options=PLAIN_CALL, wait_s=CONTROL_TIMEOUT_S)
        return dict(_json(self._caller.request(asked)))

    def follow_aliases(self, *, timeout_s: float) -> None:
        """Have the functions that follow aliases of models look at once whether those have moved.

        Args:
            timeout_s: How long to wait until all have followed, seconds. What has begun goes on without the caller.

        Raises:
            DeadlineExceededError: some have not followed yet.
        """
        options = CallOptions(timeout_s=timeout_s, idempotent=True)
        self._caller.request(Request(method="POST", path="/models/refresh", options=options))

    def logs(self, name: str, *, tail: int | None = None, offset: int | None = None) -> tuple[str, int]:
        """Return log text of a function, and the offset in bytes from which to read on.

        Args:
            name: The function.
            tail: Lines to return from the end.
            offset: Bytes of the log to skip, from an earlier call.
        """
        query = {key: value for key, value in (("tail", tail), ("offset", offset)) if value is not None}
        path = f"/functions/{quote(name, safe='')}/logs"
        found = self._control("GET", f"{path}?{urlencode(query)}" if query else path)
        return str(found["text"]), int(found["offset"])

    def events(self, *, function: str | None = None, since_s: float | None = None) -> list[dict[str, Any]]:
        """Return what happened, oldest first: deployments, workers that came and went, scaling.

        Args:
            function: Only what concerns this function.
            since_s: Only what happened after this Unix time.
        """
        query = {key: value for key, value in (("function", function), ("since", since_s)) if value is not None}
        return list(self._control("GET", f"/events?{urlencode(query)}" if query else "/events"))

    def stop(self) -> None:
        """Ask the engine to stop; it may still be running when this returns."""
        self._control("POST", "/engine/stop")

    def close(self) -> None:
        """Close the idle connections; the next call opens new ones."""
        self._caller.pool.close()

    def _control(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        timeout_s: float = CONTROL_TIMEOUT_S,
        at_once: bool = False,
    ) -> Any:
        asked = Request(
            method=method,
            path=path,
            body=None if body is None else json.dumps(body).encode(),
            headers={} if body is None else {"Content-Type": "application/json"},
            # Reading, deploying and deleting twice does what doing it once does; stopping is asked for once.
            options=PLAIN_CALL if path == "/engine/stop" else _MAY_RUN_TWICE,
            wait_s=timeout_s,
            at_once=at_once,
        )
        response = self._caller.request(asked)
        return _json(response) if response.body else None


def _call(
    function: str,
    body: bytes,
    content_type: str,
    accept: str | None,
    options: CallOptions,
    *,
    more: Mapping[str, str] = NO_HEADERS,
    wait_s: float | None = None,
) -> Request:
    headers = {"Content-Type": content_type, **({} if accept is None else {"Accept": accept}), **more}
    return Request(
        method="POST",
        path=f"/function/{quote(function, safe='')}",
        body=body,
        headers=headers,
        options=options,
        wait_s=wait_s,
    )


def _job_path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _traffic_path(function: str) -> str:
    return f"/functions/{quote(function, safe='')}/traffic"


def _answer(response: Response) -> Answer:
    return Answer(response.body, response.content_type, response.headers)


def _json(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except ValueError as error:
        raise InternalError(f"the engine answered {response.status} with a body that is not JSON") from error
