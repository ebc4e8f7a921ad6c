"""One request on a connection and its answer."""

from __future__ import annotations

from typing import Any, Protocol

from skerry.runtime.message import Response


class Channel(Protocol):
    """What an exchange needs of its connection."""

    trusted: bool

    def flush(self) -> None:
        """Send the answers that are due, in the order of their requests."""


class Exchange:
    """One request on a connection and, later, its answer."""

    __slots__ = (
        "answer",
        "body",
        "cancel",
        "connection",
        "entry",
        "expects",
        "handled",
        "headers",
        "keep_alive",
        "method",
        "size",
        "target",
    )

    def __init__(self, connection: Channel) -> None:
        self.connection = connection
        self.target = b""
        self.method = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: bytes | bytearray = b""  # bytes once the request is whole
        self.size = 0
        self.keep_alive = True
        self.expects = False  # the client waits for "100 Continue" before it sends the body
        self.handled = False  # a request that was refused by its head is not handled again at its end
        self.entry: Any = None  # the function's, found once the head is there
        self.answer: bytes | None = None
        self.cancel: Any = None  # called without arguments when the client leaves before the answer

    def use_origin_form(self) -> None:
        """Take scheme and authority from a target such as ``http://host/path``; they stand in for the host header.

        Source: RFC 9112, section 3.2.2.
        """
        authority, slash, path = self.target.partition(b"://")[2].partition(b"/")
        authority, mark, query = authority.partition(b"?")
        self.target = b"/" + mark + query + (slash if mark else b"") + path
        self.headers = [header for header in self.headers if header[0] != b"host"]
        self.headers.append((b"host", authority))

    def reply(self, response: Response) -> None:
        """Answer the request."""
        self.reply_bytes(response.encode(keep_alive=self.keep_alive, with_body=self.method != b"HEAD"))

    def reply_bytes(self, answer: bytes) -> None:
        """Answer the request with an encoded response."""
        self.cancel = None
        self.answer = answer
        self.connection.flush()
