"""A small HTTP/1.1 client over a plain socket: it sends exactly the bytes that it is given."""

import json
import re
import socket
import ssl

FIRST_LINE = re.compile(rb" HTTP/1\.[01]\r\n")
FIRST_LINE_BYTES = 11


class RawAnswer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body

    def __repr__(self):
        return f"<RawAnswer {self.status} {self.headers} {self.body[:500]!r}>"

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json()["code"]


class RawClient:
    """One connection.

    Args:
        port: TCP port.
        host: Address of the server.
        timeout_s: Longest wait for bytes.
        tls: What to expect of a server over TLS.
        bearer: Token that is added to the head of each request.
    """

    def __init__(self, port, *, host="127.0.0.1", timeout_s=30, tls=None, bearer=None):
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        self._buffer = b""
        self._bearer = None if bearer is None else b"authorization: Bearer %b\r\n" % bearer.encode()
        self._tail = b""  # of what was sent, in case a first line ends in the next piece

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if self._bearer is None else self._with_bearer(data))

    def _with_bearer(self, data):
        whole, known = self._tail + data, len(self._tail)
        pieces, at = [], known
        for line in FIRST_LINE.finditer(whole):
            if line.end() > known:
                pieces += [whole[at : line.end()], self._bearer]
                at = line.end()
        self._tail = whole[-FIRST_LINE_BYTES + 1 :]
        return b"".join([*pieces, whole[at:]])

    def read_answer(self, *, head_only=False):
        """Read one answer; the end of the stream in between is an EOFError."""
        head = self._until(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        status = int(status_line.split()[1])
        length = 0 if head_only or status == 100 else int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return RawAnswer(status, headers, body)

    def call(self, path, body=b"null", headers=()):
        """Send a request and read its answer."""
        self.send(request(path, body, headers))
        return self.read_answer()

    def read_chunk(self):
        """Read one chunk of a body that comes in chunks; the last one is empty."""
        size = int(self._until(b"\r\n"), 16)
        while len(self._buffer) < size + 2:
            self._more()
        chunk, end, self._buffer = self._buffer[:size], self._buffer[size : size + 2], self._buffer[size + 2 :]
        if end != b"\r\n":
            raise AssertionError(f"a chunk of {size} bytes ends in {end!r}")
        return chunk

    def read_chunks(self):
        """Read the chunks of a body to its last one; the end of the stream before that is an EOFError."""
        chunks = []
        while chunk := self.read_chunk():
            chunks.append(chunk)
        return chunks

    def take(self, most):
        """Return what has been read already, and a piece more where that is less."""
        found, self._buffer = self._buffer, b""
        return found if len(found) >= most else found + self._receive(most - len(found))

    def read_to_end(self):
        """Read what comes until the server closes; a reset is a ConnectionResetError."""
        while data := self._receive(1 << 16):
            self._buffer += data
        found, self._buffer = self._buffer, b""
        return found

    def is_closed(self):
        """Wait until the server closes; False when it sends something instead."""
        try:
            return not self._buffer and self._receive(1) == b""
        except ConnectionResetError:
            return True

    def reset(self):
        """Leave without a word: the server sees a reset rather than an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # of a TLS socket too
        self.socket.close()

    def _until(self, mark):
        while mark not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _receive(self, most):
        try:
            return self.socket.recv(most)
        except ssl.SSLEOFError as error:  # TLS has a word for an orderly end, and this was none
            raise ConnectionResetError(str(error)) from error

    def _more(self):
        data = self._receive(1 << 16)
        if not data:
            raise EOFError(f"the server closed after {self._buffer!r}")
        self._buffer += data


def request(path, body=b"null", headers=(), *, method="POST"):
    """Return the bytes of a request; values other than bytes travel as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {name.lower() for name, _ in headers}
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    if "content-type" not in named:
        lines.append("content-type: application/json")
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
