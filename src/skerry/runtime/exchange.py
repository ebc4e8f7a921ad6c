"""One request on a connection and its answer, and what a connection hands requests to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from skerry.runtime.message import Response

if TYPE_CHECKING:
    from skerry.runtime.connection import Connection


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

    def __init__(self, connection: Connection) -> None:
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


class Service(Protocol):
    """What a connection hands its requests to."""

    def accept(self, exchange: Exchange) -> int:
        """Look at a request's head; return the most bytes its body may have. May raise `SkerryError` to refuse."""

    def handle(self, exchange: Exchange) -> None:
        """Take a whole request; `Exchange.reply` is called for it sooner or later."""

    connections: set[Connection]
