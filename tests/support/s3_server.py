"""An S3 API server in a process of its own: moto's, with the atomic writes that S3 has.

Run as a program it prints its port and serves until its standard input ends, so it never outlives the tests.
"""

import os
import subprocess
import sys
import threading
import urllib.request
import uuid
from pathlib import Path

PAGE = 20  # how many keys a list has at most; S3 has a thousand, which takes long to write


class S3Server:
    """The server, and what the tests do to it that no client would.

    Args:
        host: The address that it listens on.
    """

    def __init__(self, host="127.0.0.1"):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)},
        )
        self.endpoint = f"http://{host}:{int(self._process.stdout.readline())}"

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def new_bucket(self):
        bucket = f"b{uuid.uuid4().hex}"
        self.put(f"/{bucket}", b"")
        return bucket

    def put(self, path, data, headers=None):
        """Put bytes there behind the back of the store."""
        headers = {"Content-Type": "application/octet-stream", **(headers or {})}
        request = urllib.request.Request(self.endpoint + path, data=data, method="PUT", headers=headers)
        with urllib.request.urlopen(request, timeout=20):
            pass

    def uploads(self, bucket):
        """Return what the server says about multipart uploads that are not complete."""
        with urllib.request.urlopen(f"{self.endpoint}/{bucket}?uploads", timeout=20) as answer:
            return answer.read().decode()


def serve(host):
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log_request(self, code="-", size="-"):
            pass

    served = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def atomic(environ, start_response):
        # moto looks whether there is an object and writes it later; two conditional writes at once could both succeed.
        # S3 promises that they do not.
        with one_at_a_time:
            return served(environ, start_response)

    server = make_server(host, 0, atomic, threaded=True, request_handler=Quiet)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
