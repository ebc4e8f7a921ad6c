"""A cluster as a site of an app: called through its ingress alone, which a real server stands for here."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import skerry
from skerry.app.site_checks import check_site
from skerry.errors import ConfigError, PrivacyError, SpecError
from skerry.spec import Site

app = skerry.App("news")


@app.function(idempotent=True)
def add_two(number: int) -> int:
    return number + 2


@app.function(local=True)
def keep(number: int) -> int:
    return number


@app.function
def size_of(file: skerry.File) -> int:
    return 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.hosts.append(self.headers["host"])
        lost = self.server.losses.pop() if self.server.losses else None
        body = b"upstream lost" if lost else json.dumps(42).encode()
        self.send_response(lost or 200)
        self.send_header("content-type", "text/plain" if lost else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *words):
        pass


@pytest.fixture
def ingress():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hosts, server.losses = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def site(ingress):
    address = f"http://127.0.0.1:{ingress.server_address[1]}"
    return Site(name="hut", platform="knative", address=address, namespace="edge", domain="example.com")


def test_a_function_is_called_by_its_host_name(site, ingress):
    assert add_two.at(site).remote(40) == 42
    assert ingress.hosts == ["add-two.edge.example.com"]


def test_a_map_over_sites_sends_again_what_was_lost(site, ingress):
    ingress.losses += [502, 502]

    assert list(add_two.map(range(20), sites=[site], in_flight=4)) == [42] * 20
    assert len(ingress.hosts) == 22


def test_what_is_local_does_not_go_to_a_cluster(site, ingress):
    with pytest.raises(PrivacyError, match="function 'keep' is labelled local"):
        keep.at(site).remote(1)
    assert ingress.hosts == []


def test_files_and_jobs_are_refused_by_name(site, ingress, tmp_path):
    (tmp_path / "data.csv").write_text("1,2\n")

    with pytest.raises(ConfigError, match=r"'size_of' in site 'hut' takes no files or folders \(.*data.csv\)"):
        size_of.at(site).remote(skerry.File(tmp_path / "data.csv"))
    with pytest.raises(ConfigError, match="site 'hut' keeps no jobs"):
        add_two.at(site).spawn(1)
    assert ingress.hosts == []


def test_checking_such_a_site_asks_its_ingress(site):
    found = check_site(site)

    assert (found.problem, found.version) == (None, None)
    assert found.rtt_s is not None


def test_a_site_whose_ingress_is_gone_has_a_problem():
    site = Site(name="gone", platform="knative", address="http://127.0.0.1:1", namespace="edge", domain="example.com")

    assert check_site(site).problem == "site 'gone': nothing answers at http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"platform": "knative", "token": "t"}, "token is for an engine, and the site's platform is knative"),
        (
            {"address": "https://a", "namespace": "edge"},
            "namespace is for a cluster, and the site's platform is engine",
        ),
        ({"platform": "knative", "domain": "example.com"}, "domain goes with address and namespace"),
        ({"platform": "nomad"}, "platform = 'nomad': expected one of engine, knative, kubernetes"),
        ({"platform": "knative", "address": "ftp://a"}, "write https://HOST:PORT or http://HOST:PORT"),
        ({"address": "http://a"}, "write https://HOST:PORT"),
        ({"platform": "knative", "context": ""}, "expected text"),
    ],
)
def test_keys_that_mean_nothing_for_a_site_are_refused(given, said):
    with pytest.raises(SpecError, match=said):
        Site(name="hut", **given)
