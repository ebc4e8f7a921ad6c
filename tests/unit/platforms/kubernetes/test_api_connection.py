"""Requests to an API server: a real one over HTTP stands for it."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from skerry.errors import PlatformError, SiteUnreachableError
from skerry.platforms.kubernetes.api import connection
from skerry.platforms.kubernetes.api.cluster import Cluster
from skerry.platforms.kubernetes.api.objects import Reference
from skerry.platforms.kubernetes.api.quoting import to_json

pytestmark = pytest.mark.skipif(find_spec("kubernetes") is None, reason="the extra kubernetes is not installed")

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u, namespace: edge}}}}]
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
"""
SETTINGS = Reference(api_version="v1", kind="ConfigMap", name="settings")
KINDS = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
BUSY, CUT = (503, {"message": "etcd has no leader"}), None


@pytest.fixture
def api(tmp_path, monkeypatch):
    """Serve what a test has answered, in turn; what is asked for and by which connection is kept."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            server.asked.append((self.command, self.path.partition("?")[0].rpartition("/")[2], self.client_address[1]))
            found = (200, KINDS) if self.path == "/api/v1" else server.answers.pop(0)
            if found is CUT:
                self.close_connection = True
                return
            body = json.dumps(found[1]).encode()
            self.send_response(found[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PATCH = do_DELETE = do_POST = answer

        def log_message(self, *_):
            pass

    monkeypatch.setattr(connection, "RETRY_DELAYS_S", (0.0, 0.0))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.format(port=server.server_port))
    server.cluster = Cluster(tmp_path / "kubeconfig")
    yield server
    server.cluster.close()
    server.shutdown()
    thread.join()
    server.server_close()


@given(st.dictionaries(st.text(), st.text()))
@example({"a": "\U0001f600 \x85 \u2028 \x7f \ufeff \\ud83d"})
def test_what_is_applied_is_json_and_yaml(value):
    sent = to_json(value).encode()

    assert json.loads(sent) == value
    assert yaml.load(sent, yaml.CSafeLoader) == value


@pytest.mark.parametrize("trouble", [BUSY, CUT])
def test_an_api_server_that_restarts_is_asked_again(api, trouble):
    api.answers = [trouble, trouble, (200, {"data": {"a": "b"}})]

    assert api.cluster.get(SETTINGS) == {"data": {"a": "b"}}
    assert [name for _, name, _ in api.asked] == ["v1", "settings", "settings", "settings"]


def test_one_that_stays_so_is_an_error(api):
    api.answers = [BUSY] * 3

    with pytest.raises(PlatformError, match="cannot answer now"):
        api.cluster.get(SETTINGS)
    assert api.answers == []


def test_a_post_is_not_sent_twice(api):
    api.answers = [CUT]

    with pytest.raises(SiteUnreachableError):
        api.cluster.connection.request("POST", "/things", doing="making a thing", body={})
    assert [method for method, _, _ in api.asked] == ["POST"]


def test_an_object_of_the_same_name_that_comes_after_a_deleted_one_is_another_one(api):
    api.answers = [
        (200, {"status": "Success", "details": {"uid": "first"}}),
        (200, {"metadata": {"name": "settings", "uid": "second"}}),
    ]

    assert api.cluster.delete([SETTINGS], deadline_s=20.0) == [SETTINGS]
    assert api.answers == []


def test_a_forked_child_opens_its_own_connection(api):
    api.answers = [(200, {})] * 2
    api.cluster.get(SETTINGS)
    api.cluster.connection._pid = os.getpid() + 1  # what the connection of a parent looks like to its child
    api.cluster.get(SETTINGS)

    ports = [port for _, name, port in api.asked if name == "settings"]
    assert ports[0] != ports[1]
