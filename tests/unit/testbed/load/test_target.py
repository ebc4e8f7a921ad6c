import pytest

from skerry.errors import SpecError
from skerry.testbed.load import Target


def test_a_request_says_what_the_target_says():
    target = Target.of_url(
        "http://127.0.0.1:8080/function/add?x=1", headers={"Priority": "u=1"}, body=b"[1]", deadline_s=0.25
    )
    head, _, body = target.request().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /function/add?x=1 HTTP/1.1"
    assert {"host: 127.0.0.1:8080", "content-length: 3", "priority: u=1", "skerry-timeout-ms: 250"} <= set(lines)
    assert body == b"[1]"


def test_a_body_of_its_own_takes_the_place_of_the_targets():
    request = Target.of_url("http://[::1]:80/", body=b"[1]").request(b"[1,2]")
    assert request.endswith(b"content-length: 5\r\n\r\n[1,2]")
    assert b"host: [::1]\r\n" in request


def test_a_get_without_a_body_has_no_length():
    assert b"content-length" not in Target.of_url("http://h", method="GET").request()


def test_a_function_is_reached_by_its_engines_socket(tmp_path):
    target = Target.of_function("add", tmp_path)
    assert target.socket == tmp_path / "engine.sock"
    assert target.request().startswith(b"POST /function/add HTTP/1.1\r\nhost: localhost\r\n")


def test_https_has_its_own_port():
    target = Target.of_url("https://site.example/a")
    assert (target.tls, target.port, target.host) == (True, 443, "site.example")


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("ftp://h/", {}),
        ("http:///a", {}),
        ("http://h:99999/", {}),
        ("http://h/", {"method": "HEAD"}),
        ("http://h/", {"timeout_s": 0}),
        ("http://h/", {"deadline_s": 0}),
        ("http://h/", {"headers": {"a b": "c"}}),
        ("http://h/", {"headers": {"a": "b\r\nc: d"}}),
    ],
)
def test_what_cannot_be_asked_is_refused(url, settings):
    with pytest.raises(SpecError):
        Target.of_url(url, **settings)
