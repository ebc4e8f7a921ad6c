import os

import pytest

from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store
from support.s3_server import S3Server


@pytest.fixture(scope="session")
def s3_server():
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def credentials(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")


@pytest.fixture
def s3_url(s3_server, credentials):
    return f"s3://{s3_server.new_bucket()}/some/where?endpoint={s3_server.endpoint}"


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path):
    """The address of an empty store, of each kind in turn."""
    return request.getfixturevalue("s3_url") if request.param == "s3" else str(tmp_path / "store")


@pytest.fixture
def repository(url):
    return ModelRepository(open_store(url))


@pytest.fixture
def publish(repository):
    """Publish a small model, and return its manifest."""

    def publish(name="digits", content=b"weights", **draft):
        return repository.publish(name, {"model.onnx": content}, ManifestDraft(**draft))

    return publish
