import json
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits

from support.onnx_models import classifier, write

SOURCE = """
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
import warnings

X, y = load_digits(return_X_y=True)
X = X.astype("float32")

def model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MLPClassifier((64,), max_iter=12, random_state=0).fit(X, y)
"""


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.setenv("SKERRY_MODEL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "train_digits.py").write_text(SOURCE)
    images, labels = load_digits(return_X_y=True)
    np.savez(tmp_path / "test.npz", X=images, y=labels)


def test_a_model_of_a_python_file_is_pushed_and_optimised(train, skerry_command):
    code, out, err = skerry_command(
        "models", "push", "digits", "train_digits.py:model", "--sample", "train_digits.py:X", "--metric",
        "accuracy=0.97", "--alias", "production",
    )  # fmt: skip
    assert (code, out) == (0, "digits@1, digits@production\n"), err
    assert "on 1,797 rows it differs from the original by" in err

    words = ("models", "optimise", "digits", "--method", "int8-dynamic", "--data", "test.npz", "--alias", "candidate")
    code, out, err = skerry_command(*words, "--floor", "0.9")
    assert code == 0, err
    assert out.startswith("digits@2, digits@candidate\n")
    for figure in ("size", "load", "latency, 1 row", "latency, 32 rows", "accuracy"):
        assert f"\n{figure}  " in out
    assert "BEFORE (digits@1)" in out

    code, out, _ = skerry_command(*words, "--floor", "0.9", "--json")
    document = json.loads(out)
    assert (code, document["parent"], document["aliases"]) == (0, 1, ["candidate"])
    assert document["about"]["profile"]["method"] == "int8-dynamic"

    code, _, err = skerry_command(*words, "--floor", "1", "--json")
    assert (code, json.loads(err)["code"]) == (2, "model_rejected")


@pytest.mark.parametrize("above", ["", "here/"])
def test_a_model_of_a_package_is_pushed_by_its_module(tmp_path, skerry_command, above):
    package = tmp_path / above / f"plants{len(above)}"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "rows.py").write_text("X = [[0.0], [1.0], [2.0], [3.0]]\n")
    (package / "train.py").write_text(
        f"from sklearn.linear_model import LogisticRegression\nfrom {package.name}.rows import X\n"
        "model = LogisticRegression().fit(X, [0, 1, 0, 1])\n"
    )
    code, out, err = skerry_command(
        "models", "push", "plants", f"{above}{package.name}.train:model", "--sample", f"{above}{package.name}.rows:X"
    )
    assert (code, out) == (0, "plants@1\n"), err


def test_a_file_is_pushed_to_the_store_that_is_named(tmp_path, skerry_command):
    write(tmp_path, classifier(), "pets.onnx")
    (tmp_path / "rows.json").write_text("[[1.0, 2.0]]")
    code, out, err = skerry_command(
        "models", "push", "pets", "pets.onnx", "--sample", "rows.json", "--label", "Katze", "--label", "Hund",
        "--store", tmp_path / "store", "--json",
    )  # fmt: skip
    assert code == 0, err
    document = json.loads(out)
    assert (document["labels"], document["version"], document["aliases"]) == (["Katze", "Hund"], 1, [])
    assert (tmp_path / "store").is_dir()


def test_a_pickle_is_refused_with_the_way_out(tmp_path, skerry_command):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([1]))
    code, _, err = skerry_command("models", "push", "digits", "model.pkl")
    assert code == 2
    assert "a Python pickle" in err
    assert "skerry models push NAME FILE.py:MODEL" in err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("nothing.py:model",), "no file"),
        (("train_digits.py:nothing",), "has no 'nothing'"),
        (("train_digits.py:model", "--metric", "good"), "write NAME=NUMBER"),
        (("train_digits.py:X", "--sample", "missing.npy"), "cannot be read as a sample"),
    ],
)
def test_what_is_not_there_is_said(train, skerry_command, words, complaint):
    code, _, err = skerry_command("models", "push", "digits", *words)
    assert code == 2
    assert complaint in err


def test_a_python_file_without_an_object_is_told_how_to_name_one(train, skerry_command):
    code, _, err = skerry_command("models", "push", "digits", "train_digits.py")
    assert (code, err) == (2, "error: train_digits.py: name the object in it: train_digits.py:NAME\n")
    assert "no file" in skerry_command("models", "push", "digits", "nowhere.py")[2]


def test_an_estimator_that_was_not_trained_is_told_so(tmp_path, skerry_command):
    (tmp_path / "untrained_iris.py").write_text(
        "from sklearn.linear_model import LogisticRegression\n\nmodel = LogisticRegression()\nX = [[1.0, 2.0]]\n"
    )
    words = ("models", "push", "iris", "untrained_iris.py:model", "--sample", "untrained_iris.py:X")
    code, _, err = skerry_command(*words)
    assert code == 2
    assert err == "error: the estimator (LogisticRegression) is not fitted: call its fit before it is pushed\n"
