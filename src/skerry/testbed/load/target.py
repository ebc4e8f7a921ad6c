"""What is asked: an address, and the request that is sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from skerry.errors import SpecError
from skerry.platforms.engine.site import read_token
from skerry.platforms.home import socket_path

if TYPE_CHECKING:
    from skerry.spec import Site

# HEAD is left out: its answers name a length and have no body, which no parser can know without the request.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go and what they say; made by `Target.of_url` and `Target.of_function`.

    Args:
        name: What the report calls it.
        path: Path and query, as they are sent.
        host: Name or address of the server; empty with a socket.
        port: Its TCP port.
        socket: The Unix socket of the server, instead of host and port.
        tls: Whether the connection is encrypted, and the server's certificate is checked.
        certificate: PEM file of the server's certificate, or of authorities; none means those that the system trusts.
        method: One of `METHODS`.
        headers: Further headers.
        body: What is sent with each request.
        timeout_s: Longest wait for an answer, from the moment at which the request was to be sent.
        deadline_s: What the server is told of the caller's deadline, by `Skerry-Timeout-Ms`.
    """

    name: str
    path: str
    host: str = ""
    port: int = 0
    socket: Path | None = None
    tls: bool = False
    certificate: Path | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_s: float = 30.0
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SpecError(f"method {self.method!r}: use one of {', '.join(METHODS)}", field="method")
        if not 0 < self.timeout_s < float("inf"):
            raise SpecError(f"timeout_s = {self.timeout_s:g}: give seconds above zero", field="timeout_s")
        if self.deadline_s is not None and self.deadline_s < 0.001:
            raise SpecError(f"deadline_s = {self.deadline_s:g}: give at least 0.001 s", field="deadline_s")
        for name, value in self.headers.items():
            if not name or any(mark in name for mark in ":\r\n ") or any(mark in value for mark in "\r\n"):
                raise SpecError(f"header {name!r}: {value!r} cannot be sent as it is", field="headers")

    @classmethod
    def of_url(
        cls,
        url: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = 30.0,
        deadline_s: float | None = None,
        certificate: Path | None = None,
    ) -> Target:
        """Return the target that an address means: ``http://HOST[:PORT]/PATH`` or ``https://...``; see `Target`.

        Raises:
            SpecError: the address or another argument cannot be used.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise SpecError(f"address {url!r}: {error}", field="url") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SpecError(f"address {url!r}: write it as http://HOST:PORT/PATH or https://...", field="url")
        return cls(
            name=url,
            path=quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{parts.query}" if parts.query else ""),
            host=parts.hostname,
            port=port or (443 if parts.scheme == "https" else 80),
            tls=parts.scheme == "https",
            certificate=certificate,
            method=method,
            headers=headers or {},
            body=body,
            timeout_s=timeout_s,
            deadline_s=deadline_s,
        )

    @classmethod
    def of_site(
        cls,
        function: str,
        site: Site,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = 30.0,
        deadline_s: float | None = None,
    ) -> Target:
        """Return a function of a site's engine, with the site's token and certificate; see `Target`.

        Raises:
            ConfigError: the token is not where the site says.
        """
        token = read_token(site)
        target = cls.of_url(
            f"{site.address}/function/{quote(function, safe='')}",
            method=method,
            headers={**({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})},
            body=body,
            timeout_s=timeout_s,
            deadline_s=deadline_s,
            certificate=site.certificate,
        )
        return replace(target, name=f"{function} at {site.name}")

    @classmethod
    def of_function(
        cls,
        function: str,
        home: Path,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = 30.0,
        deadline_s: float | None = None,
    ) -> Target:
        """Return a function of the engine that owns a folder, reached through its Unix socket; see `Target`."""
        return cls(
            name=function,
            path=f"/function/{quote(function, safe='')}",
            socket=socket_path(home),
            method=method,
            headers=headers or {},
            body=body,
            timeout_s=timeout_s,
            deadline_s=deadline_s,
        )

    def request(self, body: bytes | None = None) -> bytes:
        """Return the bytes of a request.

        Args:
            body: What is sent with this one; the target's own body when not given.
        """
        sent = self.body if body is None else body
        headers = {"host": self._host_header(), "user-agent": "skerry-load"}
        if sent or self.method != "GET":
            headers |= {"content-type": JSON, "content-length": str(len(sent))}
        if self.deadline_s is not None:
            headers["skerry-timeout-ms"] = str(max(1, round(self.deadline_s * 1e3)))
        headers |= {name.lower(): value for name, value in self.headers.items()}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + sent

    def _host_header(self) -> str:
        if self.socket is not None:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"
