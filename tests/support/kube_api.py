"""A small client of a Kubernetes API server, for tests: plain HTTP with the certificate or token of a kubeconfig.

It shares nothing with the product's client, so that what one gets wrong the other shows.
"""

import base64
import http.client
import json
import ssl
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import yaml

MERGE_PATCH = "application/merge-patch+json"
GROUPS = {
    "namespaces": "api/v1",
    "nodes": "api/v1",
    "pods": "api/v1",
    "services": "api/v1",
    "endpoints": "api/v1",
    "events": "api/v1",
    "secrets": "api/v1",
    "configmaps": "api/v1",
    "serviceaccounts": "api/v1",
    "resourcequotas": "api/v1",
    "deployments": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "horizontalpodautoscalers": "apis/autoscaling/v1",
    "networkpolicies": "apis/networking.k8s.io/v1",
    "ksvc": "apis/serving.knative.dev/v1",
    "configurations": "apis/serving.knative.dev/v1",
    "revisions": "apis/serving.knative.dev/v1",
    "routes": "apis/serving.knative.dev/v1",
}
CLUSTER_WIDE = {"namespaces", "nodes"}


class ApiError(Exception):
    """The API server refused."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body.get('message', body)}")
        self.status = status
        self.reason = body.get("reason")


class KubeApi:
    """Requests to one API server; may be used by several threads.

    Args:
        kubeconfig: Path of the file; its current context counts.
    """

    def __init__(self, kubeconfig):
        self.kubeconfig = Path(kubeconfig)
        config = yaml.safe_load(self.kubeconfig.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        address = urlsplit(cluster["server"])
        self._host, self._port = address.hostname, address.port or 443
        self._tls = ssl.create_default_context(cadata=_text(cluster, "certificate-authority", self.kubeconfig.parent))
        self._headers = {"authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._load_certificate(user)
        self._own = threading.local()

    def _load_certificate(self, user):
        certificate = _text(user, "client-certificate", self.kubeconfig.parent)
        if certificate is None:
            return
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl reads a key from a file only
            file.write(certificate + "\n" + _text(user, "client-key", self.kubeconfig.parent))
            file.flush()
            self._tls.load_cert_chain(file.name)

    def connect(self, timeout_s=30):
        """Open a connection of its own."""
        return http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=timeout_s)

    def request(self, method, path, body=None, *, content_type="application/json", text=False):
        """Send a request; return the object, or the text of the answer."""
        headers = {**self._headers, "content-type": content_type, "accept": "*/*" if text else "application/json"}
        data = None if body is None else json.dumps(body).encode()
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                found = answer.read()
                break
            except (OSError, http.client.HTTPException):
                self.close()  # the server may close a connection that has been idle
                if attempt == 2 or method == "POST":
                    raise
        if answer.status >= 400:
            raise ApiError(answer.status, _object(found))
        return found.decode(errors="replace") if text else json.loads(found)

    def _connection(self):
        if getattr(self._own, "connection", None) is None:
            self._own.connection = self.connect()
        return self._own.connection

    def close(self):
        """Close this thread's connection."""
        if getattr(self._own, "connection", None) is not None:
            self._own.connection.close()
            self._own.connection = None

    # Objects

    def get(self, kind, namespace, name):
        """Return an object, None when there is none."""
        try:
            return self.request("GET", path(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind, namespace, **query):
        return self.request("GET", path(kind, namespace, **query))["items"]

    def create(self, kind, namespace, body):
        return self.request("POST", path(kind, namespace), body)

    def replace(self, kind, namespace, body, *parts):
        return self.request("PUT", path(kind, namespace, body["metadata"]["name"], *parts), body)

    def patch(self, kind, namespace, name, body):
        return self.request("PATCH", path(kind, namespace, name), body, content_type=MERGE_PATCH)

    def delete(self, kind, namespace, name, **options):
        """Delete an object, if there is one."""
        try:
            self.request("DELETE", path(kind, namespace, name), options or None)
        except ApiError as error:
            if error.status != 404:
                raise

    def log(self, namespace, pod, **query):
        return self.request("GET", path("pods", namespace, pod, "log", **query), text=True)

    def watch(self, kind, namespace, version, connection, **query):
        """Yield type and object of what happens after a version, as long as the server goes on."""
        where = path(kind, namespace, watch="1", resourceVersion=version, timeoutSeconds="300", **query)
        connection.request("GET", where, headers=self._headers)
        with connection.getresponse() as answer:
            for line in answer:
                event = json.loads(line)
                yield event["type"], event["object"]


def path(kind, namespace, *parts, **query):
    """Return the path of a collection, an object, or a part of one."""
    kind_path = "services" if kind == "ksvc" else kind
    scope = [] if kind in CLUSTER_WIDE or namespace is None else ["namespaces", namespace]
    found = "/" + "/".join([GROUPS[kind], *scope, kind_path, *parts])
    return f"{found}?{urlencode(query)}" if query else found


def _named(items, name):
    return next(item for item in items if item["name"] == name)


def _text(section, key, folder):
    if f"{key}-data" in section:
        return base64.b64decode(section[f"{key}-data"]).decode()
    return (folder / section[key]).read_text() if key in section else None


def _object(found):
    try:
        body = json.loads(found)
    except ValueError:
        body = {}
    return body if isinstance(body, dict) and body else {"message": found.decode(errors="replace")}
