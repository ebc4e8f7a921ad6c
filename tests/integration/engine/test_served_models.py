"""A published model behind a real engine, deployed by the command line."""

import os
import stat

import numpy as np
import pytest

import skerry
from skerry.cli.main import main
from skerry.errors import InvalidPayloadError
from skerry.platforms.engine import EnginePlatform
from skerry.serve import push
from support.engine_process import write_app
from support.onnx_models import classifier, write
from support.served_models import digits, publish_digits


@pytest.fixture
def engine(make_engine, tmp_path, monkeypatch):
    monkeypatch.delenv("SKERRY_MODELS", raising=False)
    found = {"SKERRY_MODELS": str(tmp_path / "home" / "models"), "SKERRY_MODEL_CACHE": str(tmp_path / "fetched")}
    started = make_engine(environment=found).start()
    publish_digits(started.home)
    return started


def test_a_published_model_is_served_without_a_file(engine):
    pipeline, rows, _ = digits()
    assert main(["models", "serve", "digits", "--set", "scale.max=2", "--home", str(engine.home)]) == 0
    answer = engine.call("digits", rows[:20].tolist())
    assert answer.status == 200, answer
    assert answer.json()["labels"] == pipeline.predict(rows[:20]).tolist()
    assert engine.call("digits", [[1]]).status == 422
    assert engine.function("digits")["spec"]["scale"]["max"] == 2
    # What a client in Python calls is the same function, with its own declaration of it.
    served = skerry.App("client", stand_in=True).serve("digits", model="digits").at(EnginePlatform.of_home(engine.home))
    remote = served.remote(rows[:20])
    assert remote["labels"] == answer.json()["labels"]
    assert np.allclose(remote["probabilities"], pipeline.predict_proba(rows[:20]), atol=1e-5)
    assert served.spawn(rows[:2].tolist()).result()["labels"] == [0, 1]
    with pytest.raises(InvalidPayloadError, match="input 'X': expected FP32"):
        served.remote([[1]])


def push_by_command(path):
    assert main(["models", "push", "pets", str(path), "--alias", "production"]) == 0


def push_by_function(path):
    push("pets", path, alias="production")


@pytest.mark.parametrize("publish", [push_by_command, push_by_function])
def test_an_engine_starts_in_a_home_that_a_push_has_made(make_engine, tmp_path, monkeypatch, publish):
    home = tmp_path / "home"  # where `make_engine` has its first
    monkeypatch.delenv("SKERRY_MODELS", raising=False)
    monkeypatch.setenv("SKERRY_HOME", str(home))
    previous = os.umask(0o022)
    try:
        publish(write(tmp_path, classifier(), "pets.onnx"))
    finally:
        os.umask(previous)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    engine = make_engine(environment={"SKERRY_MODEL_CACHE": str(tmp_path / "fetched")}).start()
    assert engine.home == home
    assert main(["models", "serve", "pets", "--home", str(home)]) == 0
    assert engine.call("pets", [[1.0, 2.0]]).json()["model"] == "pets@1"


def test_a_deployment_may_set_another_model_than_the_app_names(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SKERRY_HOME", str(engine.home))
    push_by_function(write(tmp_path, classifier(), "pets.onnx"))
    app = write_app(
        tmp_path / "app.py",
        """
        import skerry

        app = skerry.App("pets")
        classify = app.serve("classify", model="digits")
        """,
    )

    engine.deploy(app, flags=["classify.model=pets@production"])

    assert engine.call("classify", [[1.0, 2.0]]).json()["model"] == "pets@1"
