"""Deployments for tests of the cluster's client: small programs on this machine's Python."""

import base64
import json

from support.engine_process import wait_until
from support.machine_image import add_machine, machine_container

APP = "faults"
SERVE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (os.environ["HOSTNAME"] + " " + "x" * int(self.headers.get("wanted", 0))).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print("asked", self.path, flush=True)
    def log_message(self, *words): pass
print("begun", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def labels(name, app=APP):
    """Return the labels of a function's objects."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": app,
        "app.kubernetes.io/managed-by": "skerry",
    }


def deployment(name, image, code, *, replicas=1, limits=None, ready="", **container):
    """Return a Deployment whose pods run a program.

    Args:
        name: Its name.
        image: The image of this machine, or one that is not there.
        code: The program, in Python.
        replicas: How many pods.
        limits: Their resources.
        ready: Path that tells that they are ready; empty when they are at once.
        **container: Further members of the container.
    """
    program = machine_container(image, ["python", "-c", code])
    spec = add_machine({"containers": [program], "enableServiceLinks": False, "terminationGracePeriodSeconds": 1})
    spec["containers"][0] |= container
    if limits:
        spec["containers"][0]["resources"] = {"limits": limits}
    if ready:
        probe = {"httpGet": {"path": ready, "port": 8080}, "periodSeconds": 1}
        spec["containers"][0]["readinessProbe"] = probe
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels(name)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels(name)},
            "template": {"metadata": {"labels": labels(name)}, "spec": spec},
        },
    }


def service(name):
    """Return a Service on port 80 of a Deployment's pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels(name)},
        "spec": {"selector": labels(name), "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]},
    }


def weak_kubeconfig(place, folder, *, token=None, server=None, authority=None):
    """Write a kubeconfig of a service account that may do nothing."""
    place.apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "weak"}}])
    if token is None:
        token = wait_until(lambda: _token(place), within_s=30, what="the account's token")
    configuration = place.access.configuration
    about = {
        "server": server or configuration.host,
        "certificate-authority": str(authority or configuration.ssl_ca_cert),
    }
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "weak",
        "contexts": [{"name": "weak", "context": {"cluster": "c", "user": "weak", "namespace": place.namespace}}],
        "clusters": [{"name": "c", "cluster": about}],
        "users": [{"name": "weak", "user": {"token": token}}],
    }
    file.write_text(json.dumps(content))
    return file


def _token(place):
    for secret in place.list("v1", "Secret"):
        if secret["metadata"].get("annotations", {}).get("kubernetes.io/service-account.name") == "weak":
            return base64.b64decode(secret["data"]["token"]).decode()
    return None
