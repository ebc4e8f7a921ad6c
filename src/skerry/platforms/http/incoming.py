"""A response as it comes in over a socket: its head, then the pieces of its body."""

from __future__ import annotations

import socket
from collections import deque
from io import BytesIO

from httptools import HttpResponseParser

from skerry.errors import AnswerTooLargeError
from skerry.platforms.transfer import add_bytes, is_counting

HEAD_BYTES = 16_384  # of a first read, which most answers fit into
READ_BYTES = 262_144  # as much as a Unix socket hands over at a time
PLACED_BYTES = 1 << 26  # of a body whose length is believed before it has come
OTHER_BYTES = 1 << 20  # at most, one after the other, that are no body: of heads and trailers


class Incoming:
    """Reads one response.

    Args:
        sock: The connection.
        address: Of the server, for the count of what was received.
        has_body: Whether one may follow the head; after a request with HEAD, none does.

    Attributes:
        status: Of the response.
        headers: With names in lower case.
        is_whole: Whether all of it has come.
        keeps: Whether another request may use the connection then.
    """

    def __init__(self, sock: socket.socket, address: str, *, has_body: bool = True) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_whole = False
        self.keeps = False
        self._sock = sock
        self._address = address
        self._has_body = has_body
        self._has_head = False
        self._other_bytes = 0  # since the last of the body
        self._fresh: list[bytes] = []  # pieces of one read, which may be as small as a byte
        self._pieces: deque[bytes] = deque()
        self._parser = HttpResponseParser(self)

    def read_head(self) -> None:
        """Wait for the head.

        Raises:
            OSError: the connection was lost.
            HttpParserError: what came is no response.
        """
        while not self._has_head:
            self._read(HEAD_BYTES)

    def read_some(self) -> bytes:
        """Wait for more of the body and return it; empty at its end; raises as `read_head`."""
        while not self._pieces and not self.is_whole:
            self._read(READ_BYTES)
        return self._pieces.popleft() if self._pieces else b""

    def read_all(self, *, most_bytes: int | None = None) -> bytes:
        """Wait for the rest of the body and return it; raises as `read_head`.

        Args:
            most_bytes: Largest body that is taken; none takes any.

        Raises:
            AnswerTooLargeError: the body is larger.
        """
        body_bytes = sum(map(len, self._pieces))
        left_bytes = self._left_bytes()
        check_size(body_bytes + left_bytes, most_bytes)
        if 0 < left_bytes <= PLACED_BYTES:
            return self._read_rest(left_bytes)
        while not self.is_whole:
            count = len(self._pieces)
            self._read(READ_BYTES)
            if len(self._pieces) > count:
                body_bytes += len(self._pieces[-1])
                check_size(body_bytes, most_bytes)
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return body

    def _left_bytes(self) -> int:
        """Return how much of the body has not come, 0 where its length is not known."""
        length = self.headers.get("content-length", "")
        if self.is_whole or "transfer-encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            return 0
        return int(length) - sum(map(len, self._pieces))

    def _read_rest(self, left_bytes: int) -> bytes:
        """Read a large body of known length into its place: pieces of it would leave holes in the heap."""
        body = BytesIO(bytes(sum(map(len, self._pieces)) + left_bytes))  # gives its bytes away without a copy
        end = 0
        with body.getbuffer() as view:
            while self._pieces:
                piece = self._pieces.popleft()
                view[end : end + len(piece)] = piece
                end += len(piece)
            while end < len(view):
                count = self._sock.recv_into(view[end:])
                if not count:
                    raise ConnectionResetError("the answer was cut off before its end")
                if is_counting():
                    add_bytes(self._address, received=count)
                end += count
        self.is_whole, self.keeps = True, self._parser.should_keep_alive()
        return body.getvalue()

    def _read(self, most_bytes: int) -> None:
        content = self._sock.recv(most_bytes)
        if content:
            if is_counting():
                add_bytes(self._address, received=len(content))
            self._other_bytes += len(content)
            self._parser.feed_data(content)
            if self._fresh:
                self._pieces.append(self._fresh[0] if len(self._fresh) == 1 else b"".join(self._fresh))
                self._fresh.clear()
            if self._other_bytes > OTHER_BYTES:
                raise ConnectionAbortedError(f"more than {OTHER_BYTES} bytes of headers came")
        elif not self._has_head:
            raise ConnectionResetError("the server closed it without an answer")
        elif "content-length" in self.headers or "transfer-encoding" in self.headers:
            raise ConnectionResetError("the answer was cut off before its end")
        else:
            self.is_whole = True  # its end is that of the connection

    # The parser's side

    def on_message_begin(self) -> None:
        """Notice that something follows the answer that nobody has asked for."""
        if self.is_whole:
            self.keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """Take the head, unless it is one of those that only say that the answer will come."""
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.headers = {}
            return
        self._has_head = True
        if not self._has_body:
            self.is_whole = True

    def on_body(self, content: bytes) -> None:
        """Take a piece of the body."""
        self._other_bytes = 0
        self._fresh.append(content)

    def on_message_complete(self) -> None:
        """Take the end."""
        if self._has_head and not self.is_whole:
            self.is_whole = True
            self.keeps = self._parser.should_keep_alive()


def check_size(body_bytes: int, most_bytes: int | None) -> None:
    """Refuse the body of an answer that is too large.

    Raises:
        AnswerTooLargeError: it is.
    """
    if most_bytes is not None and body_bytes > most_bytes:
        raise AnswerTooLargeError(f"the answer is larger than {most_bytes} bytes")
