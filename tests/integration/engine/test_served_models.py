"""A published model behind a real engine, deployed by the command line."""

import numpy as np
import pytest

import skerry
from skerry.cli.main import main
from skerry.errors import InvalidPayloadError
from skerry.platforms.engine import EnginePlatform
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
    served = skerry.App("client").serve("digits", model="digits").at(EnginePlatform.of_home(engine.home))
    remote = served.remote(rows[:20])
    assert remote["labels"] == answer.json()["labels"]
    assert np.allclose(remote["probabilities"], pipeline.predict_proba(rows[:20]), atol=1e-5)
    assert served.spawn(rows[:2].tolist()).result()["labels"] == [0, 1]
    with pytest.raises(InvalidPayloadError, match="input 'X': expected FP32"):
        served.remote([[1]])
