import subprocess
import sys

import pytest

from skerry.errors import ConfigError
from skerry.store.objects import FolderStore, open_store
from skerry.store.objects.s3_address import S3Address

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hush"}


def parse(url, **environment):
    return S3Address.parse(url, KEYS | environment)


def test_a_path_is_a_folder_and_nothing_is_made_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for url in ("new", "./new", "~/new", tmp_path / "new", f"file://{tmp_path}/new", f"file://localhost{tmp_path}/new"):
        store = open_store(url)
        assert isinstance(store, FolderStore)
        assert store.url == f"file://{tmp_path}/new"
    assert list(tmp_path.iterdir()) == []


def test_a_file_address_says_with_percent_what_it_may_not_hold(tmp_path):
    store = open_store(f"file://{tmp_path}/a%20b%3F")
    store.put("k", b"sea")
    assert (tmp_path / "a b?" / "k").read_bytes() == b"sea"
    assert open_store(store.url).get("k") == b"sea"


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "\0",
        "gs://bucket/x",
        "http://host/x",
        "memory://",
        "file://host/x",
        "file:x",
        "file:///x?y=1",
        "file:///x#y",
    ],
)
def test_what_is_no_address_is_refused_with_what_is_known(url):
    with pytest.raises(ConfigError, match=r"known are: the path of a folder, file:///PATH, and s3://"):
        open_store(url)


def test_a_file_and_a_home_of_nobody_are_no_folders(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="is a file"):
        open_store(tmp_path / "file")
    with pytest.raises(ConfigError, match="no meaning"):
        open_store("~nobody-of-this-name/x")


def test_an_s3_address_is_read_and_written():
    address = parse("s3://some-bucket/a/b?endpoint=https://host:9000/&region=eu-central-1&timeout_s=5&allow_http=true")
    assert address == S3Address(
        bucket="some-bucket",
        prefix="a/b",
        endpoint="https://host:9000",
        region="eu-central-1",
        allow_http=True,
        timeout_s=5.0,
    )
    assert parse(address.url) == address
    assert parse("s3://some-bucket") == parse("s3://some-bucket/?region=us-east-1")


def test_the_environment_fills_what_an_s3_address_leaves_open():
    assert parse("s3://some-bucket", AWS_REGION="r-1", AWS_DEFAULT_REGION="r-2").region == "r-1"
    assert parse("s3://some-bucket", AWS_DEFAULT_REGION="r-2").region == "r-2"
    assert parse("s3://some-bucket?region=r-3", AWS_REGION="r-1").region == "r-3"
    both = {"AWS_ENDPOINT_URL": "https://general", "AWS_ENDPOINT_URL_S3": "https://special"}
    assert parse("s3://some-bucket", **both).endpoint == "https://special"
    assert parse("s3://some-bucket?endpoint=https://given", **both).endpoint == "https://given"


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost", "[::1]:9000", "127.8.0.1"])
def test_a_server_on_this_machine_may_be_spoken_to_in_the_clear(host):
    address = parse(f"s3://some-bucket?endpoint=http://{host}")
    assert address.endpoint == f"http://{host}"
    assert parse(address.url) == address


@pytest.mark.parametrize("host", ["10.0.0.1", "minio:9000", "localhost.example.org", "[fe80::1]"])
def test_another_server_may_only_when_the_address_allows_it(host):
    for environment in ({}, {"AWS_ALLOW_HTTP": "true"}):
        with pytest.raises(ConfigError, match="allow_http=true"):
            parse(f"s3://some-bucket?endpoint=http://{host}", **environment)
    with pytest.raises(ConfigError, match="allow_http=true"):
        parse("s3://some-bucket", AWS_ENDPOINT_URL=f"http://{host}")
    assert parse(f"s3://some-bucket?endpoint=http://{host}&allow_http=true").endpoint == f"http://{host}"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://", "name of a bucket"),
        ("s3:bucket", "name of a bucket"),
        ("s3://B", "name of a bucket"),
        ("s3://some-bucket/a//b", "not the key"),
        ("s3://some-bucket/../b", "not the key"),
        ("s3://some-bucket/a#b", "name of a bucket"),
        ("s3://some-bucket?endpoint=ftp://host", "endpoint"),
        ("s3://some-bucket?endpoint=https://", "endpoint"),
        ("s3://some-bucket?endpoint=https://h:port", "endpoint"),
        ("s3://some-bucket?endpoint=https://h?x=1", "endpoint"),
        ("s3://some-bucket?endpoint=https://[", "endpoint"),
        ("s3://some-bucket?region=a b", "region"),
        ("s3://some-bucket?allow_http=yes", "true or false"),
        ("s3://some-bucket?timeout_s=soon", "timeout_s"),
        ("s3://some-bucket?timeout_s=nan", "timeout_s"),
        ("s3://some-bucket?timeout_s=0", "timeout_s"),
        ("s3://some-bucket?region=a&region=b", "twice"),
        ("s3://some-bucket?sse=on", "known are endpoint, region, allow_http, timeout_s"),
    ],
)
def test_a_wrong_s3_address_is_refused_with_the_reason(url, why):
    with pytest.raises(ConfigError, match=why):
        parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://hush:hush@some-bucket/x",
        "s3://some-bucket?endpoint=https://hush:hush@host",
        "s3://some-bucket?secret_access_key=hush",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(url):
    with pytest.raises(ConfigError) as caught:
        parse(url)
    assert "hush" not in str(caught.value)


def test_an_s3_address_without_credentials_is_refused_at_once():
    for environment in ({}, {"AWS_ACCESS_KEY_ID": "id"}, {"AWS_SECRET_ACCESS_KEY": "hush"}):
        with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY"):
            S3Address.parse("s3://some-bucket", environment)
    for name in ("AWS_SKIP_SIGNATURE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        assert S3Address.parse("s3://some-bucket", {name: "true"}).bucket == "some-bucket"


def test_opening_a_folder_imports_no_client_of_s3(tmp_path):
    program = (
        "import sys; from skerry.store.objects import open_store; open_store(sys.argv[1]).put('a', b''); "
        "assert not {'obstore', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
