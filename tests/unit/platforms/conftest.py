"""A small HTTP server on a Unix socket, which answers as a test tells it to."""

import json
import socket
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer
from types import SimpleNamespace

import pytest


class Reply:
    """What the server answers; ``chunks`` is an iterable of what it sends in chunks, None in it cuts the connection."""

    def __init__(self, status=200, body=b"", headers=None, drop=False, chunks=None):
        self.chunks = chunks
        self.status = status
        self.body = json.dumps(body).encode() if isinstance(body, dict | list) else body
        self.headers = headers or {}
        self.drop = drop


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path, answer):
        self.answer = answer
        self.connections = 0
        self.requests = []
        self.lock = threading.Lock()
        super().__init__(str(path), Handler)

    def get_request(self):
        with self.lock:
            self.connections += 1
        sock, _ = super().get_request()
        return sock, ("test", 0)

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        request = (self.command, self.path, body, {k.lower(): v for k, v in self.headers.items()})
        with self.server.lock:
            self.server.requests.append(request)
        reply = self.server.answer(*request)
        if reply.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        if reply.chunks is not None:
            self.send_chunks(reply.chunks)
            return
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def send_chunks(self, chunks):
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            if chunk is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *args):
        pass


@contextmanager
def serving(path, answer):
    server = Server(path, answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        path.unlink(missing_ok=True)
        thread.join()


def problem(error, **headers):
    body = json.dumps(error.to_problem()).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(error.http_status, body, {"Content-Type": "application/problem+json", **names})


@pytest.fixture
def stub(tmp_path):
    """Start servers with ``stub.serve(answer)`` and describe what they answer with ``stub.Reply``, ``stub.problem``."""
    with ExitStack() as stack:
        path = tmp_path / "engine.sock"
        yield SimpleNamespace(
            path=path,
            Reply=Reply,
            problem=problem,
            serving=lambda answer: serving(path, answer),
            serve=lambda answer: stack.enter_context(serving(path, answer)),
        )
