import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from skerry.errors import DataError, ModelRejectedError
from skerry.serve import push
from skerry.serve.publishing import digest_code
from skerry.serve.publishing_session import open_session, run_session
from skerry.serve.sample import decode_sample
from skerry.spec import ModelReference
from support.onnx_models import classifier, doubling, external, with_weight, write


@pytest.fixture(scope="module")
def model(digits):
    return DecisionTreeClassifier(max_depth=9, random_state=0).fit(*digits)


def test_a_push_keeps_the_runtime_from_reporting_home_and_from_writing_there(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    model = write(tmp_path, doubling())
    code = f"from skerry.serve import push; push('doubling', {str(model)!r})"
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = {**inherited, "SKERRY_HOME": str(tmp_path / "engine"), "HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


def test_an_estimator_is_pushed_with_all_that_is_known_of_it(model, digits, repository, cache):
    images, _ = digits
    manifest = push(
        "digits",
        model,
        sample=images[:50],
        repository=repository,
        metrics={"accuracy": 0.97},
        data_digest="sha256:abc",
        about={"author": "Ada"},
        alias="production",
    )
    assert repository.resolve(ModelReference.parse("digits@production")) == manifest
    assert (manifest.version, manifest.kind, manifest.labels) == (1, "classifier", tuple("0123456789"))
    assert [(t.name, t.dtype, t.shape) for t in manifest.inputs] == [("input", "float32", (None, 64))]
    assert [t.name for t in manifest.outputs] == ["label", "probabilities"]
    assert manifest.about["author"] == "Ada"
    assert manifest.about["export"]["compared_rows"] == 50
    assert manifest.metrics == {"accuracy": 0.97}
    folder = cache.fetch(repository, manifest)
    sample = decode_sample((folder / "sample.json").read_bytes())
    np.testing.assert_array_equal(sample["input"], images[:4])
    results = run_session(open_session(folder / "model.onnx"), {"input": images})
    np.testing.assert_allclose(results["probabilities"], model.predict_proba(images), atol=1e-5)


def test_a_file_bytes_and_a_folder_are_pushed_as_they_are(tmp_path, repository):
    path = write(tmp_path, classifier())
    first = push("pets", path, repository=repository)
    second = push("pets", str(tmp_path), repository=repository, sample=[[1.0, 2.0]], parent=1)
    third = push("pets", path.read_bytes(), repository=repository)
    assert [m.version for m in (first, second, third)] == [1, 2, 3]
    assert {m.files["model.onnx"].sha256 for m in (first, second, third)} == {first.files["model.onnx"].sha256}
    assert (second.labels, second.parent, sorted(second.files)) == (("cat", "dog"), 1, ["model.onnx", "sample.json"])


def test_external_data_and_the_sample_of_a_folder_go_along_and_nothing_else(tmp_path, repository):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "w").write_bytes(np.ones(2, np.float32).tobytes())
    (tmp_path / "notes.txt").write_text("not for everybody")
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    (tmp_path / "sample.json").write_text(json.dumps({"inputs": [tensor]}))
    write(tmp_path, with_weight(external("w", "parts/w")), "net.onnx")
    manifest = push("net", tmp_path, repository=repository)
    assert sorted(manifest.files) == ["model.onnx", "parts/w", "sample.json"]


def test_a_pickle_is_refused_and_never_opened(tmp_path, repository):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "model.onnx"
    path.write_bytes(pickle.dumps(Trap()))
    for source, called in ((path, str(path)), (path.read_bytes(), "the model's bytes")):
        with pytest.raises(
            ModelRejectedError, match=rf"{called}: the file is a Python pickle .* never loaded here; export it to ONNX"
        ):
            push("trap", source, repository=repository)
    assert not (tmp_path / "sprung").exists()
    assert repository.names() == []


def test_labels_must_be_as_many_as_the_columns(tmp_path, repository):
    path = write(tmp_path, classifier())
    assert push("pets", path, repository=repository, labels=["Katze", "Hund"]).labels == ("Katze", "Hund")
    with pytest.raises(ModelRejectedError, match="3 labels do not fit the model: its outputs have 2 columns"):
        push("pets", path, repository=repository, labels=["a", "b", "c"])


def test_a_sample_must_fit_the_inputs(tmp_path, repository):
    path = write(tmp_path, doubling())
    with pytest.raises(DataError, match="the inputs given are z, and the model takes x"):
        push("double", path, repository=repository, sample={"z": [[1.0, 2.0]]})
    with pytest.raises(DataError, match="takes float32, not texts"):
        push("double", path, repository=repository, sample=["a"])


def test_models_of_one_code_have_one_digest_whatever_they_have_seen(digits):
    images, labels = digits
    few = DecisionTreeClassifier(max_depth=3).fit(images[:100], labels[:100])
    assert digest_code(few) == digest_code(DecisionTreeClassifier(max_depth=3))
    assert digest_code(few) != digest_code(DecisionTreeClassifier(max_depth=4))
