import pytest

from skerry.errors import ModelNotFoundError
from skerry.runtime import pinned_model
from skerry.runtime.model_source import FOLDER_PERIOD_S, REMOTE_PERIOD_S, ModelSource, provide
from skerry.runtime.pinned_model import mounted_model
from skerry.spec import ModelReference
from support.model_store import ModelStore

PRODUCTION = ModelReference.parse("digits@production")


@pytest.fixture
def fetched(tmp_path):
    """The folder of a version as the cache makes it."""
    store = ModelStore(tmp_path / "store")
    store.publish("digits", "one", alias="production")
    source = ModelSource(str(store.folder), tmp_path / "cache")
    return source.fetch(source.resolve(PRODUCTION)).folder


def test_without_a_folder_nothing_is_mounted(monkeypatch, tmp_path):
    monkeypatch.setattr(pinned_model, "KSERVE_FOLDER", tmp_path)

    assert mounted_model(PRODUCTION, {}) is None


def test_the_folder_that_the_environment_names_is_served_as_it_is(fetched):
    found = mounted_model(PRODUCTION, {"SKERRY_MODEL_FOLDER": str(fetched)})

    assert (found.version, found.folder, found.manifest.name) == (1, fetched, "digits")
    assert found.variables() == {"SKERRY_MODEL_FOLDER": str(fetched), "SKERRY_MODEL": "digits@1"}


def test_a_folder_of_another_model_is_not_taken_and_one_of_another_version_is_refused(fetched):
    environment = {"SKERRY_MODEL_FOLDER": str(fetched)}

    assert mounted_model(ModelReference.parse("letters"), environment) is None
    with pytest.raises(ModelNotFoundError, match="holds digits@1"):
        mounted_model(ModelReference.parse("digits@2"), environment)
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        mounted_model(PRODUCTION, {"SKERRY_MODEL_FOLDER": "/nowhere"})


@pytest.mark.parametrize(
    ("reference", "said", "version"), [("digits", None, 1), ("digits@7", None, 7), ("digits", "digits@4", 4)]
)
def test_a_folder_without_a_manifest_is_of_the_version_that_is_said(tmp_path, reference, said, version):
    environment = {"SKERRY_MODEL_FOLDER": str(tmp_path)} | ({} if said is None else {"SKERRY_MODEL": said})

    found = mounted_model(ModelReference.parse(reference), environment)

    assert (found.version, found.manifest) == (version, None)


def test_kserves_folder_is_taken_when_a_model_lies_there_and_no_store_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(pinned_model, "KSERVE_FOLDER", tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"")

    assert mounted_model(PRODUCTION, {}).folder == tmp_path
    assert mounted_model(PRODUCTION, {"SKERRY_MODELS": "s3://bucket"}) is None


def test_what_is_not_mounted_is_fetched_from_the_store(monkeypatch, tmp_path):
    monkeypatch.setenv("SKERRY_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("SKERRY_MODEL_CACHE", str(tmp_path / "cache"))
    ModelStore(tmp_path / "store").publish("digits", "one", alias="production")

    found = provide(PRODUCTION, {"SKERRY_MODELS": "named"})

    assert (found.folder / "model.onnx").read_text() == "one"
    with pytest.raises(ModelNotFoundError):
        provide(ModelReference.parse("letters"), {"SKERRY_MODELS": "named"})


@pytest.mark.parametrize(
    ("url", "period_s"),
    [("/models", FOLDER_PERIOD_S), ("file:///models", FOLDER_PERIOD_S), ("s3://bucket/models", REMOTE_PERIOD_S)],
)
def test_a_folder_is_looked_at_more_often_than_a_bucket(tmp_path, url, period_s):
    assert ModelSource(url, tmp_path).period_s == period_s
