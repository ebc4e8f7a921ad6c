"""Functions of models on a bare runtime: it fetches at its start what the store has, or takes what is mounted."""

import shutil

import pytest

from skerry.store.models import ModelCache
from support.model_store import ModelStore, tensors, write_model_app
from support.runtime_process import RuntimeProcess


@pytest.fixture
def store(tmp_path):
    store = ModelStore(tmp_path / "store")
    store.publish("digits", "one", alias="production")
    return store


@pytest.fixture
def run(tmp_path):
    runtimes = []

    def start(**environment):
        app = write_model_app(tmp_path / "app.py")
        cache = {"SKERRY_MODEL_CACHE": str(tmp_path / "cache")}
        runtime = RuntimeProcess(tmp_path / f"runtime{len(runtimes)}", app, environment=cache | environment)
        runtimes.append(runtime)
        return runtime.start()

    yield start
    for runtime in runtimes:
        runtime.close()


def test_a_model_is_fetched_at_the_start_and_called_at_all_addresses(store, run):
    runtime = run(SKERRY_MODELS=str(store.folder))

    for path in ("/function/digits", "/v2/models/digits/infer", "/v2/models/digits/versions/1/infer", "/"):
        answer = runtime.call(path, tensors(1, 2))
        assert (answer.status, answer.json()["content"], answer.json()["model"]) == (200, "one", "digits@1"), path
    assert runtime.call("/v1/models/digits:predict", {"instances": [1]}).json()["content"] == "one"
    assert runtime.get("/v2/models/digits").json()["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert runtime.get("/v2/models/digits/ready").status == 200
    assert runtime.get("/v2/health/ready").status == 200
    assert runtime.call("/v2/repository/index", {}).json()[0]["state"] == "READY"
    assert "'letters'" in runtime.call("/v2/models/letters/infer", {}).json()["error"]


def test_the_model_of_a_bare_runtime_is_not_evicted_while_it_serves(store, run, tmp_path):
    runtime = run(SKERRY_MODELS=str(store.folder))

    assert ModelCache(tmp_path / "cache").evict(0).versions == ()
    assert runtime.call("/v2/models/digits/infer", tensors(1)).json()["content"] == "one"
    runtime.close()
    assert len(ModelCache(tmp_path / "cache").evict(0).versions) == 1


def test_nobody_can_unload_the_model_of_a_bare_runtime(store, run):
    runtime = run(SKERRY_MODELS=str(store.folder))

    for verb in ("load", "unload"):
        answer = runtime.call(f"/v2/repository/models/digits/{verb}", {})
        assert (answer.status, "an engine loads and unloads" in answer.json()["error"]) == (404, True)
    assert runtime.call("digits", {}).status == 200


def test_a_mounted_folder_is_served_without_a_store(store, run, tmp_path):
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "model.onnx").write_text("mounted")

    runtime = run(SKERRY_MODEL_FOLDER=str(tmp_path / "mounted"), SKERRY_MODELS=str(tmp_path / "nowhere"))

    assert runtime.call("/v2/models/digits/infer", tensors(1)).json()["content"] == "mounted"
    assert runtime.get("/v2/models/digits").json()["versions"] == ["1"]


def test_a_model_that_is_not_there_ends_the_start_with_its_reason(store, run):
    shutil.rmtree(store.folder)

    with pytest.raises(AssertionError, match="digits"):
        run(SKERRY_MODELS=str(store.folder))
