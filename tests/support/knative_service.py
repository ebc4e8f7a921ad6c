"""Knative services for tests, made by hand: a small server of the machine's Python, that says who it is."""

import http.client
import json
import textwrap
from urllib.parse import urlsplit

from support.engine_process import wait_until
from support.knative_stand_in.conditions import state_of
from support.machine_image import machine_container

READY_S = 90.0
SERVER = """
    import http.server, json, os, signal, time

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            time.sleep(float(self.headers.get("x-wait-s", "0")))
            names = ("K_SERVICE", "K_REVISION", "K_CONFIGURATION", "PORT", "MARK", "HOSTNAME")
            said = {name: os.environ.get(name) for name in names}
            said["body"], said["headers"] = body.decode(), dict(self.headers)
            data = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST

    server = http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler)
    server.serve_forever()
"""


class Services:
    """Makes Knative services and calls them.

    Args:
        knative: Where they are.
        image: Of their pods, as `support.machine_image` pushes it.
    """

    def __init__(self, knative, image):
        self.knative, self.image = knative, image
        self.api, self.namespace = knative.api, knative.namespace

    def template(self, *, mark="1", program=SERVER, image=None, annotations=None, revision=None, **options):
        """Return a template of revisions: a server that returns ``mark``, or another program."""
        command = ["python", "-c", textwrap.dedent(program)]
        container = machine_container(image or self.image, command, environment={"MARK": mark})
        container.pop("name")
        meta = {"annotations": annotations or {}} | ({"name": revision} if revision else {})
        return {"metadata": meta, "spec": {"containers": [container], "timeoutSeconds": 5, **options}}

    def apply(self, name, *, traffic=None, **template):
        """Make a service or change it."""
        spec = {"template": self.template(**template)} | ({"traffic": traffic} if traffic else {})
        service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        there = self.api.get("ksvc", self.namespace, name)
        if there is None:
            return self.api.create("ksvc", self.namespace, service)
        service["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        return self.api.replace("ksvc", self.namespace, service)

    def split(self, name, *traffic):
        """Change the traffic of a service alone."""
        return self.api.patch("ksvc", self.namespace, name, {"spec": {"traffic": list(traffic)}})

    def get(self, name):
        return self.api.get("ksvc", self.namespace, name)

    def settled(self, name, status="True", *, kind="ksvc"):
        """Wait until an object's newest generation has the wanted condition ``Ready``; return the object."""

        def look():
            stand_in = self.knative.stand_in
            assert stand_in is None or stand_in.errors == [], stand_in.errors[0]
            found = self.api.get(kind, self.namespace, name)
            if found is None or found.get("status", {}).get("observedGeneration") != found["metadata"]["generation"]:
                return None
            return found if state_of(found)[0] == status else None

        return wait_until(look, within_s=READY_S, what=f"{kind} {name} with Ready {status}")

    def call(self, url, body="", **headers):
        """Send a request to a route through the ingress; return status and body."""
        connection = http.client.HTTPConnection(urlsplit(self.knative.ingress).netloc, timeout=60)
        try:
            connection.request("POST", "/", body, {"host": urlsplit(url).netloc, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def say(self, url, body="", **headers):
        """Return what the pod says that a request has come to."""
        status, text = self.call(url, body, **headers)
        assert status == 200, text
        return json.loads(text)

    def replicas(self, revision):
        return self.api.get("deployments", self.namespace, f"{revision}-deployment")["spec"]["replicas"]
