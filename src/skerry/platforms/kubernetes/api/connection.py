"""Requests to an API server: the client library's connections and credentials, plain dictionaries, our errors."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

from skerry.errors import SkerryError, TransportError
from skerry.platforms.kubernetes.api.credentials import Access
from skerry.platforms.kubernetes.api.refusals import read_failure, read_refusal
from skerry.version import __version__

CONNECT_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 60.0
RETRY_DELAYS_S: Final = (0.2, 1.0)
PASSING: Final = frozenset({"busy", "lost"})  # a server that is overloaded or restarts, a connection that broke
NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML


class Lines:
    """An answer that goes on, line by line; another thread may end it.

    Args:
        response: The library's answer, whose body was not read.
    """

    def __init__(self, response: Any) -> None:
        self._response = response
        self._closing = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        try:
            for chunk in self._response.stream(amt=None, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        except Exception as error:
            if not self._closing.is_set():
                raise TransportError(f"the API server ended the answer early: {error}") from error
        if rest:
            yield rest

    def close(self) -> None:
        """End the answer; whoever reads it gets no more lines."""
        self._closing.set()
        connection = getattr(self._response, "connection", None)
        if sock := getattr(connection, "sock", None):
            try:
                # A shutdown wakes the thread that reads. That of the plain socket, for the one of a TLS socket takes
                # away what the thread is reading with.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._response.close()


class Connection:
    """Requests to one API server; threads may share it.

    Args:
        access: How the cluster is reached.
    """

    def __init__(self, access: Access) -> None:
        from kubernetes.client.rest import RESTClientObject

        self.access = access
        self._lock = threading.Lock()
        configuration = access.configuration
        configuration.retries = False
        self._new_pool: Callable[[], Any] = lambda: RESTClientObject(configuration).pool_manager
        self._pool, self._pid = self._new_pool(), os.getpid()

    def request(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Send a request and return its answer.

        Args:
            method: HTTP method.
            path: Path on the API server.
            doing: What is being done, for messages.
            query: Parameters.
            body: What to send, as JSON.
            content_type: What the body is.
            timeout_s: Longest wait for the answer, in seconds.

        Raises:
            PlatformError: the cluster refuses, and the message says what to do.
            SiteUnreachableError: no answer, or not from the cluster.
            UnauthorizedError: the credentials are not accepted.
        """
        content = None if body is None else encode(body)
        # Everything that is asked for here may be asked for twice, but for what makes a new thing each time.
        for delay_s in RETRY_DELAYS_S if method != "POST" else ():
            try:
                data = self._exchange(method, path, query, content, content_type, timeout_s, doing)
                break
            except SkerryError as error:
                if error.details.get("reason") not in PASSING:
                    raise
            time.sleep(delay_s)
        else:
            data = self._exchange(method, path, query, content, content_type, timeout_s, doing)
        answer = json.loads(data) if data[:1] in (b"{", b"[") else {"text": data.decode(errors="replace")}
        return answer if isinstance(answer, dict) else {"items": answer}

    def stream(self, path: str, *, doing: str, query: Mapping[str, Any], timeout_s: float | None = None) -> Lines:
        """Ask for an answer that goes on: a log that is followed, or a watch.

        Args:
            path: Path on the API server.
            doing: What is being done, for messages.
            query: Parameters.
            timeout_s: Longest silence in seconds; none waits for ever.
        """
        return Lines(self._send("GET", path, query, None, "", timeout_s, doing))

    def headers(self) -> dict[str, str]:
        """Return the headers that prove who one is; a plugin's token is renewed when it has expired."""
        with self._lock:  # the library runs the plugin here, and more than once when threads race
            token = self.access.configuration.get_api_key_with_prefix("BearerToken")
        headers = {"User-Agent": f"skerry/{__version__}"}
        if token:
            headers["Authorization"] = str(token)
        return headers

    def failure(self, error: BaseException) -> SkerryError:
        """Return our error for one that a connection raised."""
        return read_failure(error, server=self.access.server, source=self.access.source, context=self.access.context)

    def refusal(self, status: int, body: bytes, *, doing: str) -> SkerryError:
        """Return our error for an answer of the API server that is one."""
        return read_refusal(status, body, doing=doing, means=self.access.means, server=self.access.server)

    def close(self) -> None:
        """Close connections that are not in use."""
        self._pool.clear()

    def _exchange(self, *request: Any) -> bytes:
        response = self._send(*request)
        try:
            return bytes(response.data)
        except Exception as error:
            raise self.failure(error) from error

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        content: bytes | None,
        content_type: str,
        timeout_s: float | None,
        doing: str,
    ) -> Any:
        import urllib3

        if self._pid != os.getpid():  # these sockets belong to the parent of this fork
            self._pool, self._pid = self._new_pool(), os.getpid()
        parameters = {key: _to_text(value) for key, value in (query or {}).items() if value is not None}
        url = f"{self.access.server.rstrip('/')}{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        headers = self.headers() | {"Accept": "application/json, */*"}
        if content is not None:
            headers["Content-Type"] = content_type
        try:
            response = self._pool.request(
                method,
                url,
                body=content,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s),
                preload_content=False,
            )
            if response.status >= 400:
                answer = response.data
                raise self.refusal(response.status, answer, doing=doing)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.failure(error) from error
        return response


def encode(body: Any) -> bytes:
    """Return a value as JSON that a reader of YAML takes too.

    YAML knows no escapes of surrogates, by which JSON in ASCII writes what is beyond 16 bits; nor does it take every
    character as it is.
    """
    return NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(body, ensure_ascii=False)).encode()


def _to_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
