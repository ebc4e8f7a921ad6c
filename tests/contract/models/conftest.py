import pytest

from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store


@pytest.fixture(params=["folder"])
def url(request, tmp_path):
    """The address of an empty store, of each kind in turn."""
    return str(tmp_path / "store")


@pytest.fixture
def repository(url):
    return ModelRepository(open_store(url))


@pytest.fixture
def publish(repository):
    """Publish a small model, and return its manifest."""

    def publish(name="digits", content=b"weights", **draft):
        return repository.publish(name, {"model.onnx": content}, ManifestDraft(**draft))

    return publish
