"""A stand-in for an OpenTelemetry collector, which keeps the spans that it gets."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Collector:
    """The HTTP side of an OpenTelemetry collector."""

    def __init__(self):
        self.spans = []
        self.resources = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                assert self.path == "/v1/traces"
                for resource in body["resourceSpans"]:
                    collector.resources.append(attributes(resource["resource"]))
                    for scope in resource["scopeSpans"]:
                        collector.spans += scope["spans"]
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def named(self):
        return {span["name"]: span for span in self.spans}

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def attributes(holder):
    return {each["key"]: next(iter(each["value"].values())) for each in holder.get("attributes", [])}
