"""A registry that does not keep to the protocol: nothing of it is taken that is not what was asked for."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skerry.errors import ConfigError, CorruptObjectError, PlatformError, TransportError
from skerry.platforms.images.archive import read_archive
from skerry.platforms.images.blobs import Blobs
from skerry.platforms.images.reference import Reference
from skerry.platforms.images.registry import Registry

ZEROS = f"sha256:{'0' * 64}"


@pytest.fixture
def serve():
    """Start a registry that gives fixed answers by path; returns a connection to an image of it."""
    servers = []

    def start(answers, location="", **options):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = answers.get(self.path.partition("/v2/app/")[2])
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def do_POST(self):
                self.send_response(202)
                self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return Registry(Reference.parse(f"127.0.0.1:{server.server_port}/app:1"), **options)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_configuration_that_is_not_what_the_manifest_names_is_refused(serve):
    manifest = json.dumps({"config": {"digest": ZEROS}, "layers": []}).encode()
    registry = serve({"manifests/1": manifest, f"blobs/{ZEROS}": b'{"config": {"Env": ["LD_PRELOAD=/evil.so"]}}'})

    with pytest.raises(CorruptObjectError, match=f"when {ZEROS} was asked for"):
        registry.image("amd64")


@pytest.mark.parametrize("named", ["../../other/blobs/x", "latest", "sha256:short", "sha512:" + "0" * 128])
def test_a_digest_that_is_none_leads_nowhere(serve, named):
    index = serve({"manifests/1": json.dumps({"manifests": [{"digest": named}]}).encode()})
    image = serve({"manifests/1": json.dumps({"config": {"digest": named}, "layers": []}).encode()})

    for registry in (index, image):
        with pytest.raises(CorruptObjectError, match="is no SHA-256 digest"):
            registry.image("amd64")


def test_a_layer_may_be_no_larger_than_announced_and_no_other_than_asked_for(serve, tmp_path):
    content, blobs = b"x" * 1000, Blobs(tmp_path)
    registry = serve({f"blobs/{digest(content)}": content, f"blobs/{ZEROS}": content})

    with pytest.raises(CorruptObjectError, match="larger than the 10 bytes"):
        registry.fetch(digest(content), blobs, size_bytes=10)
    with pytest.raises(CorruptObjectError, match=f"{ZEROS} was asked for"):
        registry.fetch(ZEROS, blobs, size_bytes=1000)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.com/up"])
def test_an_upload_is_not_sent_to_where_no_registry_is(serve, location):
    with pytest.raises(PlatformError, match="less safe than itself"):
        serve({}, location).push(ZEROS, b"content")


def test_an_archive_whose_digests_lead_out_of_it_is_refused(tmp_path):
    (tmp_path / "secret").write_text("{}")
    layout = tmp_path / "layout"
    layout.mkdir()
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": "../../secret", "size": 2}]}))

    with pytest.raises((ConfigError, CorruptObjectError), match="is no SHA-256 digest"):
        read_archive(layout, Blobs(tmp_path / "blobs"), "amd64")


def test_plain_http_where_tls_is_expected_says_what_may_be_done(serve):
    plain = serve({})
    secure = Registry(plain.reference, insecure=False)
    secure._base = plain._base.replace("http://", "https://")  # loopback is spoken to in plain HTTP otherwise

    with pytest.raises(TransportError) as caught:
        secure.image("amd64")
    assert "--insecure-registry" in caught.value.details["hint"]


@pytest.mark.parametrize(
    ("image", "scheme"),
    [("python:3.11-slim", "https"), ("docker.io/library/python:3.11", "https"), ("lab.example:5000/app:1", "http")],
)
def test_plain_http_that_is_allowed_is_not_spoken_to_docker_hub(image, scheme):
    assert Registry(Reference.parse(image), insecure=True)._base.startswith(f"{scheme}://")


def test_a_registry_that_is_not_there_is_not_blamed_on_tls():
    with pytest.raises(TransportError, match="Connection refused") as caught:
        Registry(Reference.parse("127.0.0.1:1/app:1")).image("amd64")
    assert "insecure" not in caught.value.details["hint"]
    assert "look at its address" in caught.value.details["hint"]
