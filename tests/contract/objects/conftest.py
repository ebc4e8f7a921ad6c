import os

import pytest

from skerry.store.objects import open_store
from support.object_writer import ObjectWriter
from support.s3_server import S3Server

BACKENDS = ("folder", "s3")


@pytest.fixture(scope="session")
def s3_server():
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def credentials(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-id-of-the-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-key")


@pytest.fixture
def s3_url(s3_server, credentials):
    return f"s3://{s3_server.new_bucket()}/some/where?endpoint={s3_server.endpoint}"


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    return request.getfixturevalue("s3_url") if request.param == "s3" else str(tmp_path / "store")


@pytest.fixture
def store(url):
    return open_store(url)


@pytest.fixture
def folder_store(tmp_path):
    return open_store(tmp_path / "store")


@pytest.fixture
def s3_store(s3_url):
    return open_store(s3_url)


@pytest.fixture
def start_writer():
    """Start other processes that write; none of them outlives the test."""
    started = []

    def start(*arguments):
        started.append(ObjectWriter(*arguments))
        return started[-1]

    yield start
    for writer in started:
        writer.kill()
