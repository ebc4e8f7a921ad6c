"""A request and a response as routes see them."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import orjson

from skerry.errors import MalformedBodyError, SkerryError

REASONS = {
    100: "Continue",
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
PROBLEM_TYPE = "application/problem+json"


class Request:
    """One HTTP request, whole."""

    __slots__ = ("body", "headers", "local", "method", "path", "public", "query", "trusted")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        trusted: bool,
        public: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers  # names in lower case
        self.body = body
        self.trusted = trusted  # came over the Unix socket, which only its owner can open
        self.public = public  # came over TLS, from another machine

    def parameter(self, name: str) -> str | None:
        """Return a parameter of the query string."""
        values = parse_qs(self.query).get(name)
        return values[-1] if values else None

    def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            MalformedBodyError: it is none.
        """
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise MalformedBodyError(f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise MalformedBodyError("the body must be a JSON object")
        return value


class Response:
    """One HTTP response, whole."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        body: bytes = b"",
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}

    @classmethod
    def of_json(cls, value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """Return a value as a JSON response."""
        return cls(orjson.dumps(value, default=str), status=status, headers=headers)

    @classmethod
    def of_error(cls, error: SkerryError) -> Response:
        """Return an error as a problem response (RFC 9457), with `Retry-After` where that helps."""
        return cls.of_problem(error.to_problem())

    @classmethod
    def of_problem(cls, problem: dict[str, Any]) -> Response:
        """Return the JSON form of an error as a response."""
        status = int(problem.get("status", 500))
        headers = {}
        if status == 405 and "allow" in problem:
            headers["allow"] = ", ".join(problem["allow"])
        if status in (429, 503):
            headers["retry-after"] = str(max(1, round(float(problem.get("retry_after_s", 1)))))
        return cls(orjson.dumps(problem, default=str), status=status, content_type=PROBLEM_TYPE, headers=headers)

    def name_error(self) -> None:
        """Say a problem's text as the member `error` too, where clients of inference protocols look for it."""
        if self.content_type != PROBLEM_TYPE:
            return
        with contextlib.suppress(orjson.JSONDecodeError, TypeError, AttributeError):  # a worker's may be anything
            problem = orjson.loads(self.body)
            self.body = orjson.dumps({"error": problem.get("detail", "no detail was given"), **problem})

    def encode(self, *, keep_alive: bool, with_body: bool = True) -> bytes:
        """Return the response as it goes over the wire."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        if self.status != 204:
            if self.content_type:
                lines.append(f"content-type: {self.content_type}")
            lines.append(f"content-length: {len(self.body)}")
        lines.extend(f"{name}: {value}" for name, value in self.headers.items())
        if not keep_alive:
            lines.append("connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        return head + self.body if with_body else head


Route = Callable[[Request], Response | Awaitable[Response]]
