from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.spec import Site, parse_endpoint, read_project_file


def write(tmp_path, text):
    (tmp_path / "skerry.toml").write_text(text)
    return tmp_path / "skerry.toml"


def test_sites_are_read_with_their_files_beside_the_project(tmp_path):
    text = """
    [sites.edge-1]
    address = "https://10.0.0.1:8443"
    tier = "edge"
    labels = {town = "Oulu"}
    token_file = "secrets/edge-1.token"
    certificate = "/etc/edge-1.pem"
    max_answer = "2GiB"

    [sites.cloud]
    address = "https://cloud.example.org/"
    tier = "cloud"
    token_variable = "CLOUD_TOKEN"
    """
    sites = read_project_file(write(tmp_path, text))["sites"]

    assert sites["edge-1"] == Site(
        name="edge-1",
        address="https://10.0.0.1:8443",
        tier="edge",
        labels={"town": "Oulu"},
        token_file=tmp_path / "secrets" / "edge-1.token",
        certificate=Path("/etc/edge-1.pem"),
        max_answer="2GiB",
    )
    assert sites["edge-1"].max_answer_bytes == 2 * 2**30
    assert (sites["cloud"].address, sites["cloud"].tier) == ("https://cloud.example.org:443", "cloud")
    assert len({*sites.values(), *sites.values()}) == 2


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('adress = "https://a:1"', "unknown key 'adress'; there are: address"),
        ("", "address is missing"),
        ('address = "http://a:1"', "write https://HOST:PORT"),
        ('address = "https://a:1/path"', "write https://HOST:PORT"),
        ('address = "https://a:70000"', "write https://HOST:PORT"),
        ("address = 3", "write https://HOST:PORT"),
        ('address = "https://a:1"\ntier = "fog"', "one of device, edge, cloud"),
        ('address = "https://a:1"\nlabels = {a = 1}', "a table of texts"),
        ('address = "https://a:1"\ntoken_file = 1', "the name of a file"),
        ('address = "https://a:1"\ntoken = "a"\ntoken_file = "b"', "token_file and token: give one of them"),
        ('address = "https://a:1"\nmax_answer = 5', "max_answer = 5: write it with its unit"),
        ('address = "https://a:1"\nmax_answer = "0"', "a size above 0"),
        ('address = "https://a:1"\ntoken_variable = ""', "the name of an environment variable"),
    ],
)
def test_what_is_no_site_is_refused_with_the_file_and_the_key(tmp_path, line, word):
    path = write(tmp_path, f"[sites.edge-1]\n{line}\n")

    with pytest.raises(SpecError) as caught:
        read_project_file(path)
    assert word in caught.value.message
    assert str(path) in caught.value.message
    assert "edge-1" in caught.value.message


@pytest.mark.parametrize("text", ['[sites."Edge 1"]\naddress = "https://a:1"', "sites = 1", "[sites]\na = 1"])
def test_sites_that_are_no_tables_or_have_no_name_are_refused(tmp_path, text):
    with pytest.raises(SpecError, match="sites"):
        read_project_file(write(tmp_path, text))


def test_a_token_is_never_shown():
    site = Site(name="edge-1", address="https://a:1", token="swordfish")

    assert "swordfish" not in repr(site) + str(site)
    for token in ("sword\nfish", "fischstäbchen"):
        with pytest.raises(SpecError) as caught:
            Site(name="edge-1", address="https://a:1", token=token)
        assert token not in caught.value.message
    with pytest.raises(SpecError) as caught:
        Site(name="edge-1", address="https://user:swordfish@a:1")
    assert "swordfish" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [("0.0.0.0:8443", ("0.0.0.0", 8443)), ("[::]:0", ("::", 0)), ("edge.example.org:443", ("edge.example.org", 443))],
)
def test_an_endpoint_is_a_host_and_a_port(text, endpoint):
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize("text", ["", ":8443", "8443", "a:", "a:b", "a:70000", "::1:8443", "a:-1", "a:\u00b2"])
def test_other_endpoints_are_refused(text):
    with pytest.raises(SpecError, match="write"):
        parse_endpoint(text)


@given(st.text())
def test_any_text_is_an_endpoint_or_refused(text):
    try:
        host, port = parse_endpoint(text)
    except SpecError:
        return
    assert host
    assert 0 <= port <= 65_535
