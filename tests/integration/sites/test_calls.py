"""Calls to an engine on another machine: over TLS, with the token."""

import http.client
import socket
import ssl
import subprocess
from dataclasses import replace

import pytest

import skerry
from skerry.errors import (
    AnswerTooLargeError,
    BodyTooLargeError,
    ConfigError,
    FunctionNotFoundError,
    SiteUnreachableError,
    UnauthorizedError,
)
from skerry.platforms.engine.site import SitePlatform
from support.engine_process import write_app
from support.raw_http import request


def write_project(folder, engine, **changes):
    keys = {
        "address": f"https://127.0.0.1:{engine.public_port}",
        "token_file": engine.home / "token",
        "certificate": engine.home / "certificate.pem",
        **changes,
    }
    lines = [f'{key} = "{value}"' for key, value in keys.items() if value is not None]
    (folder / "skerry.toml").write_text("\n".join(["[sites.edge-1]", *lines]) + "\n")


def raw(engine):
    """Connect as a client that trusts nothing but what the engine's folder says."""
    context = ssl.create_default_context(cafile=engine.home / "certificate.pem")
    return context.wrap_socket(
        socket.create_connection(("127.0.0.1", engine.public_port), 20), server_hostname="localhost"
    )


def ask(engine, method, path, headers=None, body=None):
    context = ssl.create_default_context(cafile=engine.home / "certificate.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", engine.public_port, context=context, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_an_app_and_a_function_are_bound_to_a_site_of_the_project_by_its_name(edge, app, project):
    write_project(project, edge)

    assert app.at("edge-1").add.remote(1, 2) == 3
    assert app.functions["add"].at("edge-1").remote(3, b=4) == 7
    with pytest.raises(AttributeError, match="no function 'train'; there are: add"):
        _ = app.at("edge-1").train
    with pytest.raises(ConfigError, match=r"no site 'edge-2' in .*skerry.toml; there are: edge-1"):
        app.at("edge-2")


def test_a_call_reaches_no_function_of_the_same_name_of_another_app(edge, app, project):
    write_project(project, edge)
    other = skerry.App("other")

    @other.function
    def add(a: int, b: int = 0) -> int:
        raise AssertionError("it is called here")

    refused = r"site 'edge-1' at .*: 'add' belongs to app 'spread' here, not to 'other'"
    calls = [
        lambda: add.at("edge-1").remote(1, 2),
        lambda: other.at("edge-1").add.remote(1, 2),
        lambda: add.at("edge-1").spawn(1, 2),
        lambda: list(add.map([1, 2], sites=["edge-1"])),
    ]
    for call in calls * 2:  # the engine knows the heads the second time
        with pytest.raises(FunctionNotFoundError, match=refused) as raised:
            call()
        assert raised.value.details["owner"] == "spread"
        assert app.at("edge-1").add.remote(1, 2) == 3


def test_an_app_that_stands_in_for_others_reaches_their_functions(edge, project):
    write_project(project, edge)
    stand_in = skerry.App("some-client", stand_in=True)

    @stand_in.function
    def add(a: int, b: int) -> int:
        raise AssertionError("it is called here")

    assert add.at("edge-1").remote(1, 2) == 3
    assert stand_in.at("edge-1").add.remote(1, 2) == 3


def test_large_bodies_and_streams_pass_in_both_directions(edge, app):
    bound = app.at(edge.site("edge-1"))

    assert bound.size.remote(bytes(20_000_000)) == 20_000_000
    assert sum(len(piece) for piece in bound.pour.stream(300)) == 300 * 65536
    with pytest.raises(BodyTooLargeError):
        bound.size.remote(bytes(70_000_000))


def test_a_stream_that_nobody_reads_does_not_fill_the_engine(edge, app):
    platform = SitePlatform(edge.site("edge-1"))
    with platform.stream("pour", b"20000", content_type="application/json") as answer:
        assert answer.read()
        held = edge.control("GET", "/engine").json()["memory_bytes"]["front"]
    assert held < 400 * 2**20  # of the 1.3 GB that the function would pour


def test_what_is_kept_of_a_site_s_answer_is_bounded_and_what_is_read_as_it_comes_is_not(edge):
    bounded = SitePlatform(replace(edge.site("edge-1"), max_answer="100KiB"))
    with pytest.raises(AnswerTooLargeError, match=r"site 'edge-1' at .*: the answer is larger than 102400 bytes"):
        bounded.invoke("pour", b"2", content_type="application/json")
    assert len(bounded.invoke("pour", b"1", content_type="application/json").body) == 65536
    with bounded.stream("pour", b"20", content_type="application/json") as answer:
        assert sum(map(len, iter(answer.read, b""))) == 20 * 65536
    bounded.close()


def test_requests_in_one_packet_are_answered_in_turn(edge):
    token = (edge.home / "token").read_text().strip()
    bearer = ("authorization", f"Bearer {token}")
    wanted = [request("/function/add", b'{"a": %d, "b": 1}' % n, [bearer]) for n in range(20)]
    with raw(edge) as sock:
        sock.sendall(b"".join(wanted))
        received = b""
        while received.count(b"HTTP/1.1 200") < 20 or not received.endswith(b"20"):
            chunk = sock.recv(65536)
            assert chunk, received
            received += chunk
    bodies = [int(part.rpartition(b"\r\n\r\n")[2]) for part in received.split(b"HTTP/1.1 200")[1:]]
    assert bodies == list(range(1, 21))


@pytest.mark.parametrize(
    "path", ["/function/add", "/jobs/x", "/metrics", "/v2/models/x", "/engine", "/apps", "/nothing"]
)
def test_everything_but_health_wants_the_token(edge, path):
    method = "POST" if path.startswith("/function") else "GET"
    body = b'{"a": 1, "b": 2}' if method == "POST" else None

    assert ask(edge, method, path, body=body)[0] == 401
    assert ask(edge, method, path, {"Authorization": "Bearer wrong"}, body)[0] == 401
    assert ask(edge, "GET", "/health/readiness")[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/../engine"),
        ("GET", "/health/x"),
        ("GET", "/health/%2e%2e/apps"),
        ("GET", "/v2/health/../models"),
        ("GET", "/health"),
        ("POST", "/health/liveness"),
        ("PUT", "/v2/health/live"),
    ],
)
def test_nothing_beside_the_addresses_of_health_goes_without_the_token(edge, method, path):
    status, body = ask(edge, method, path)

    assert (status, b"unauthorized" in body, b"add" in body) == (401, True, False)


@pytest.mark.parametrize("path", ["/health/liveness", "/health/readiness", "/v2/health/live", "/v2/health/ready"])
def test_health_is_told_without_the_token(edge, path):
    assert [ask(edge, method, path)[0] for method in ("GET", "HEAD")] == [200, 200]


def test_who_has_the_token_is_told_what_is_there_but_for_local_functions(edge, tmp_path):
    secret = """
    app = skerry.App("ward")

    @app.function(local=True, scale=skerry.Scale(initial=0))
    def diagnose(image: bytes) -> str:
        return "well"
    """
    edge.deploy(write_app(tmp_path / "ward.py", secret))
    try:
        bearer = {"Authorization": f"Bearer {(edge.home / 'token').read_text().strip()}"}
        status, body = ask(edge, "GET", "/nothing", bearer)
        assert (status, b"there are: add," in body, b"diagnose" in body) == (404, True, False)
        assert "diagnose" in edge.control("GET", "/nothing").json()["detail"]
    finally:
        edge.control("DELETE", "/apps/ward")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("POST /health/liveness", 401),
        ("POST /function/add", 401),
        ("GET /health/liveness", 413),
        ("GET /v2/health/live", 413),
        ("GET /v2/%68ealth/live", 413),
    ],
)
@pytest.mark.parametrize("length", ["content-length: 10485660", "transfer-encoding: chunked"])
def test_without_the_token_no_body_is_kept(edge, request_line, status, length):
    with raw(edge) as sock:
        sock.sendall(f"{request_line} HTTP/1.1\r\nhost: h\r\n{length}\r\n\r\n".encode())
        if status == 413 and "chunked" in length:
            sock.sendall(b"1000\r\n" + bytes(0x1000))  # the rest never comes
        assert sock.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_small_body_of_a_request_for_health_is_passed_over(edge):
    assert ask(edge, "GET", "/health/liveness", body=bytes(1024))[0] == 200


def test_a_head_that_is_known_on_loopback_does_not_open_the_other_listener(edge):
    host = f"127.0.0.1:{edge.port}"
    head = (
        f"POST /function/add HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n"
    )
    whole = head.encode() + b'{"a": 1, "b": 2}'
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", edge.port), 20) as sock:
            sock.sendall(whole)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    with raw(edge) as sock:
        sock.sendall(whole)
        assert sock.recv(4096).startswith(b"HTTP/1.1 401")


def test_a_wrong_token_is_refused_under_the_sites_name(edge, app):
    site = edge.site("edge-1", token_file=None, token="wrong")

    with pytest.raises(UnauthorizedError, match=r"site 'edge-1' at https://.* refuses the token") as caught:
        app.at(site).add.remote(1, 2)
    assert caught.value.details["site"] == "edge-1"


def test_a_certificate_that_is_not_the_pinned_one_is_refused(edge, app, tmp_path):
    other = tmp_path / "other.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]
    command += ["-keyout", tmp_path / "other.key", "-out", other, "-subj", "/CN=skerry engine"]
    subprocess.run([*command, "-addext", "basicConstraints=critical,CA:FALSE"], check=True, capture_output=True)

    for certificate in (other, None):
        with pytest.raises(SiteUnreachableError, match=r"site 'edge-1' .* its certificate is not the one"):
            app.at(edge.site("edge-1", certificate=certificate)).add.remote(1, 2)


def test_a_pinned_certificate_counts_under_any_name(edge):
    site = skerry.Site(
        name="edge-1",
        address=f"https://localhost.localdomain:{edge.public_port}",
        token_file=edge.home / "token",
        certificate=edge.home / "certificate.pem",
    )
    try:
        socket.getaddrinfo("localhost.localdomain", 0)
    except OSError:
        pytest.skip("this machine has one name for itself only")

    assert SitePlatform(site).ready()


def test_a_site_that_does_not_answer_is_reported_by_name_and_at_once(app):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        site = skerry.Site(name="edge-9", address=f"https://127.0.0.1:{unused.getsockname()[1]}")

        with pytest.raises(SiteUnreachableError, match=r"site 'edge-9' at https://127.0.0.1:[0-9]+ does not answer: "):
            app.at(site).add.remote(1, 2)


def test_a_site_that_takes_no_connection_is_given_up(app):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        site = skerry.Site(name="edge-9", address=f"https://127.0.0.1:{address[1]}")
        platform = SitePlatform(site, connect_timeout_s=0.3)

        with pytest.raises(SiteUnreachableError, match="no connection within the time for one"):
            platform.invoke("add", b"{}", content_type="application/json")
        platform.close()


def test_old_versions_of_tls_are_refused(edge):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", edge.public_port), 20) as sock, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(sock)


def test_the_key_is_closed_to_others_and_the_certificate_lasts(edge):
    assert (edge.home / "certificate.key").stat().st_mode & 0o777 == 0o600
    assert not list((edge.home / "sources").glob(".taking-*"))
